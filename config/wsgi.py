"""The site as a WSGI application. The web server runs config.asgi, which has it behind the gateway."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
