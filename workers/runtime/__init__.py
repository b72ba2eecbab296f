"""What we add to Celery and kombu: a file for each measured fault, which its docstring names.

Each docstring also lists the private interfaces that its file touches: check those when you upgrade.
"""
