"""Measures the nine practices, and tells the admins when one has not held for its time.

It depends on as little as possible of what it watches: a thread of each beat process and the database. Without the
database nothing can be claimed, so nothing is sent: then the outside heartbeat (heartbeat.py) stops, and rings.
"""
