"""The span of each request, the root of its trace. In MIDDLEWARE only where a collector is named (docs/tracing.md).

Instead of opentelemetry-instrumentation-django, which puts whole addresses into spans: those of reset links have their
tokens, and those of searches what people look for. A span has the route.
"""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from workers import log_context
from workers.tracing.tracer import tracer

PROBES = ("/healthz", "/readyz", "/metrics")


class TracingMiddleware:
    """After RequestIDMiddleware, whose id is the trace's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(PROBES):
            return self.get_response(request)
        attributes = {"http.request.method": request.method or "", "request.id": log_context.request_id.get()}
        with tracer().start_as_current_span("request", Context(), SpanKind.SERVER, attributes) as span:
            response = self.get_response(request)
            route = request.resolver_match.route if request.resolver_match else ""
            span.update_name(f"{request.method} /{route}")
            span.set_attributes({"http.route": f"/{route}", "http.response.status_code": response.status_code})
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
            return response

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Of a view, if no other middleware answers."""
        get_current_span().set_attribute("exception.message", log_context.anonymize(repr(error)))
