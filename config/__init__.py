"""The edge: how the site and its workers are assembled. Nothing else imports from here."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
