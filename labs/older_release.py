"""The site's Celery app as of a release without the sweep, for labs/roll_back.py: `--app labs.older_release`."""

from config.celery import app

del app.conf.beat_schedule["sweep jobs every 10 seconds"]
