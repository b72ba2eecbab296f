"""All URLs."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

handler500 = "mediaapp.views.errors.server_error"
urlpatterns = [
    path("", include("mediaapp.urls")),
    path("admin/", admin.site.urls),
]
if "django_mail_preview" in settings.INSTALLED_APPS:
    urlpatterns.append(path("dev/mail/", include("django_mail_preview.urls")))
