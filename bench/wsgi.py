"""Sets Django up: the site, and the result backend that the bar for a poll is measured against."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_celery_results"]
settings.ROOT_URLCONF = "bench.urls"
# No files are collected, and no page here is looked at.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STATIC_ROOT = settings.LOCAL_DIR
application = get_wsgi_application()
