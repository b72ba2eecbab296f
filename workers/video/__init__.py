"""The tasks of the worker video: transcodes."""
