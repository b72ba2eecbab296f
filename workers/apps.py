"""The workers as a Django app: registers the rules of the practices and of the storage with `manage.py check`."""

from django.apps import AppConfig
from django.core.checks import register

from workers import storage_settings


class WorkersConfig(AppConfig):
    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from workers.practices import nine  # noqa: PLC0415 - it imports models, which are not there any earlier

        register(storage_settings.check)
        for practice in nine.PRACTICES:
            register(lambda app_configs, check=practice.module.check, **_: check())
