"""Servers and processes for development and tests; the image has none of it (tests/test_run_without_devtools.py)."""
