"""Gives every request an id for its log lines, an answer where a server is silent, and the Content-Security-Policy."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from csp.constants import HEADER
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from mediaapp.views.errors import SERVER_ERRORS, service_unavailable
from workers import circuit_breaker, log_context

# The ids that Heroku's router accepts from a client (https://devcenter.heroku.com/articles/http-request-id).
# Any other value could forge log lines.
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9+/=-]{20,200}")


class RequestIDMiddleware:
    """Must be the first. The ids stay set after the response, because the access log is written later."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        header = request.headers.get("X-Request-ID", "")
        request_id = header if VALID_REQUEST_ID.fullmatch(header) else uuid4().hex
        log_context.request_id.set(request_id)
        log_context.job_id.set(log_context.UNKNOWN)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: dict[str, Any]) -> None:
        log_context.job_id.set(str(kwargs.get("job_id", log_context.UNKNOWN)))


class SilentServerMiddleware:
    """Before all that ask a server: from here on, the clients of our servers have the patience of a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        circuit_breaker.in_request.set(True)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return service_unavailable(request, error) if isinstance(error, SERVER_ERRORS) else None


class ContentSecurityPolicyMiddleware:
    """One policy for all responses, so it is built once. csp.middleware builds two anew for each: a tenth of a poll."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response, self.policy = get_response, build_policy()
        self.excluded = tuple(settings.CONTENT_SECURITY_POLICY["EXCLUDE_URL_PREFIXES"])

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_debug_page = settings.DEBUG and response.status_code in (404, 500)  # Django's, with inline styles
        if not (is_debug_page or request.path_info.startswith(self.excluded)):
            response[HEADER] = self.policy
        return response
