"""One machine, one command: embedded servers, `manage.py up`, and the harness that tests, labs and bench share.

It needs requirements-dev.txt. The image does not have it (tests/test_run_without_devtools.py).
"""
