"""The site as a Django app."""

import gc

from django.apps import AppConfig
from django.core.checks import register

from mediaapp import checks, viewers  # noqa: F401 (viewers connects signals)


class MediaappConfig(AppConfig):
    name = "mediaapp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(checks.check_deploy, deploy=True)
        gc.freeze()  # the loaded code: a process looks through all of it several times when it ends
