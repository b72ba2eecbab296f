"""From a file in a browser to a job."""
