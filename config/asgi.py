"""The ASGI application that the web server runs: the WSGI site behind the gateway, which waits for slow clients."""

from wsgiref.types import WSGIApplication

from django.conf import settings

from config.wsgi import application as wsgi_application
from mediaapp.gateway.application import Gateway
from mediaapp.uploads.receive import max_body_bytes


def behind_gateway(site: WSGIApplication) -> Gateway:
    folder = str(settings.FILE_UPLOAD_TEMP_DIR)
    return Gateway(site, threads=settings.WEB_THREADS, folder=folder, find_max_bytes=max_body_bytes)


application = behind_gateway(wsgi_application)
