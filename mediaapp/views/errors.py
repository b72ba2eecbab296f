"""The answers to a request that met a silent server or a fault of ours: a page, or JSON for who accepts it."""

import logging
import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mediaapp.permissions import was_staff

log = logging.getLogger(__name__)

# What the clients of our servers raise if one is away. A page that can do without a server has handled its error.
SERVER_ERRORS = (OperationalError, InterfaceError, RedisConnectionError, RedisTimeoutError, BrokerError)
RETRY_AFTER_SECONDS = 10
AWAY_MESSAGE = "One of our servers does not answer. Nothing that you have is lost: try again in a minute."
FAULT_MESSAGE = "Something went wrong on our side. What you have uploaded is safe: try again in a minute."


def wants_json(request: HttpRequest) -> bool:
    """A browser's */* does not count."""
    return "application/json" in request.headers.get("Accept", "") or request.path.endswith(".json")


def service_unavailable(request: HttpRequest, error: BaseException) -> HttpResponse:
    """503, rendered without the request: the page's menu would ask the database for the user."""
    log.warning("server_away error=%r", error)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}
    if wants_json(request):
        return JsonResponse({"error": AWAY_MESSAGE}, status=503, headers=headers)
    is_safe = request.method in ("GET", "HEAD")
    context = {"is_safe": is_safe, "seconds": RETRY_AFTER_SECONDS, "is_staff": was_staff(request)}
    page = render_to_string("503.html", context)
    return HttpResponse(page, status=503, headers=headers)


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500. Errors of a view come to SilentServerMiddleware first; these are of middleware and error pages."""
    error = sys.exception()
    if isinstance(error, SERVER_ERRORS):
        return service_unavailable(request, error)
    if wants_json(request):
        return JsonResponse({"error": FAULT_MESSAGE}, status=500)
    return defaults.server_error(request)
