"""The bench's site behind the gateway."""

from bench.wsgi import application as site
from config.asgi import behind_gateway

application = behind_gateway(site)
