"""What /metrics tells Prometheus, read anew for each request: no web process keeps a number of its own.

Labels are names of config/queues.py and of our own lists. Nothing that a user or a message chooses becomes a label.
"""
