"""The site's settings where nobody has collected the static files, as a platform's build does: a clone has none."""

from config.settings import *  # noqa: F403
from config.settings import STORAGES as COLLECTED

STORAGES = COLLECTED | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
