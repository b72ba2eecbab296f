"""The tracer of this process. The id of a trace is computed from the request's id and SECRET_KEY.

So the row of a job need not store its trace: what the sweep publishes later, or another job's end, is in the trace of
the request that created the job. A client's `traceparent` is not taken, and he cannot compute the id from his
X-Request-ID: a stranger could have all of his requests sampled.
"""

import os
import socket
import threading
from functools import cache
from multiprocessing.util import Finalize
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import HOST_NAME, PROCESS_PID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Tracer

from workers import log_context
from workers.tracing.sender import SpanSender

NAME = "mediaapp"
LAST_SECONDS = 1  # for the last spans of a process that ends


class ProcessResource(Resource):
    """Equal to itself alone. The exporter computes the hash for each span, and Resource's takes 5 us."""

    __eq__, __hash__ = object.__eq__, object.__hash__


class RequestIdGenerator(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        request = log_context.request_id.get()
        return super().generate_trace_id() if request == log_context.UNKNOWN else trace_id_of(request)


def trace_id_of(request: str) -> int:
    return int.from_bytes(salted_hmac("trace", request, algorithm="sha256").digest()[:16])


class Telemetry:
    """The tracer and the sender of one process."""

    def __init__(self) -> None:
        self.sender = SpanSender()
        given = os.environ.get(OTEL_SERVICE_NAME) or SERVICE_NAME in os.environ.get(OTEL_RESOURCE_ATTRIBUTES, "")
        name = {} if given else {SERVICE_NAME: NAME}
        release = {SERVICE_VERSION: settings.RELEASE} if settings.RELEASE else {}
        process: dict[str, Any] = {HOST_NAME: socket.gethostname(), PROCESS_PID: os.getpid()}
        self.resource = ProcessResource(Resource.create({**process, **name, **release}).attributes)
        self.ids = RequestIdGenerator()
        provider = TracerProvider(resource=self.resource, id_generator=self.ids, shutdown_on_exit=False)
        provider.add_span_processor(self.sender)
        self.sampler = provider.sampler  # as OTEL_TRACES_SAMPLER says
        self.tracer = provider.get_tracer(NAME)
        # Also runs in processes of multiprocessing, which granian's are. Those of the pool give a signal.
        Finalize(None, self.close, exitpriority=10)

    def close(self) -> None:
        self.sender.close(LAST_SECONDS)


_lock = threading.Lock()


def telemetry() -> Telemetry:
    """Made at the first span of a process, because a process that forks must have no thread."""
    with _lock:
        return _telemetry(os.getpid())


@cache
def _telemetry(pid: int) -> Telemetry:
    return Telemetry()


def tracer() -> Tracer:
    return telemetry().tracer
