"""The workers as a Django app: rules for `manage.py check`, and one pool of connections for each Redis."""

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import register
from django_redis import get_redis_connection

from workers import storage_settings


class WorkersConfig(AppConfig):
    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from workers.practices import nine  # noqa: PLC0415 - it imports models, which are not there any earlier

        register(storage_settings.check)
        for practice in nine.PRACTICES:
            register(lambda app_configs, check=practice.module.check, **_: check())
        # Two threads that need one for the first time would make two: seen are 4 connections of a pool of 2.
        for alias in settings.CACHES:
            get_redis_connection(alias)
