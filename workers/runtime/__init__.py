"""What we add to Celery itself: a file for each measured fault, which its docstring names."""
