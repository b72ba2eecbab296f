"""Where the files are, a disk or a bucket, and the workspace that a job has them in."""
