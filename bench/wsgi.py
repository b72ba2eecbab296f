"""Sets Django up: the site, and the result backend that the bar of a poll is measured against."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_celery_results"]
settings.ROOT_URLCONF = "bench.urls"
# The bench collects no static files, because it renders pages for their time only.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STATIC_ROOT = settings.LOCAL_DIR
application = get_wsgi_application()
