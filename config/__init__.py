"""The edge: how the site and its workers are assembled. Nothing else imports from here."""

import os

# Before the app, whose schedule reads the table of queues from the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.celery import app as celery_app

__all__ = ["celery_app"]
