"""One machine, one command: embedded servers, `manage.py up`, and the harness of tests, labs and bench.

Installed by requirements-dev.txt alone. Production does without it: no image and no module of the site imports it.
"""
