"""What we add to Celery and kombu, a file for each measured fault.

A file's docstring lists the private interfaces that it touches: check those when you upgrade.
"""
