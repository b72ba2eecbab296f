"""Assembles the site and its workers. No other package imports from here."""

import os

import config.redis_import  # noqa: F401

# Before the import of the app: its schedule reads the table of queues from the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.celery import app as celery_app

__all__ = ["celery_app"]
