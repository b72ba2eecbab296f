"""What gets a file from a browser into a job: its bytes, its real type, and what its columns mean."""
