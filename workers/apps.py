"""The workers as a Django app."""

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import register
from django_redis import get_redis_connection

from workers.storage import checks
from workers.video import checks as video_checks


class WorkersConfig(AppConfig):
    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from workers.practices import registry  # noqa: PLC0415 - it imports models, which are loaded by now

        register(checks.check)
        register(video_checks.check, deploy=True)
        for practice in registry.PRACTICES:
            register(lambda app_configs, check=practice.check, **_: check())
        # Two threads that both need the first connection would make two pools (docs/facts/servers.md#two-pools).
        for alias in settings.CACHES:
            get_redis_connection(alias)
