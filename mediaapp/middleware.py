"""Gives every request an id, for the lines of its log: the router's, or one that is made here."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from workers import log_context

# What Heroku's router lets a client choose (https://devcenter.heroku.com/articles/http-request-id). Anything else could
# write lines of its own into the log.
WELL_FORMED = re.compile(r"[A-Za-z0-9+/=-]{20,200}")


class RequestIDMiddleware:
    """The first middleware. The ids stay until this thread's next request: the access log comes after the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        name = given if WELL_FORMED.fullmatch(given) else uuid4().hex
        log_context.request_id.set(name)
        log_context.job_id.set(log_context.UNKNOWN)
        response = self.get_response(request)
        response["X-Request-ID"] = name
        return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: dict[str, Any]) -> None:
        """An address with a job in it is about that job."""
        log_context.job_id.set(str(kwargs.get("job_id", log_context.UNKNOWN)))
