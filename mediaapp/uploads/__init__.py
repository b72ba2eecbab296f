"""From a file in a browser to a job: receive the bytes, detect the type, map the columns."""
