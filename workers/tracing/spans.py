"""The spans of publishes and runs: request -> publish -> run is one trace, by the header `traceparent` of a message.

A killed process sends nothing. So the heartbeat of a run that takes longer than a second has the ids of its span, and
who collects the runs sends the span of one that was killed.
"""

import random
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, worker_process_init, worker_process_shutdown
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from workers import log_context
from workers.telemetry.outcomes import FAILED
from workers.telemetry.recorder import Run, run_finished, run_killed, run_started
from workers.tracing.tracer import NAME, telemetry, trace_id_of, tracer

HEADER = "traceparent"
SCOPE = InstrumentationScope(NAME)
SUCCESS = Status()
ATTRIBUTES = {
    "queue": "messaging.destination.name",
    "message": "messaging.message.id",
    "wait_seconds": "task.waited_seconds",
    "request": "request.id",
    "attempt": "job.attempt",
    "outcome": "task.outcome",
}

_propagator = TraceContextTextMapPropagator()


class RunSpan:
    """The span of a run, which is made after its end: its thread takes the time and the ids, and others do the rest.

    Between two tasks, that takes six times as long as in a batch (docs/tracing.md).
    """

    def __init__(self, task: str, request: Any) -> None:
        self.started = time.time_ns()
        self.task, self.message, self.header = task, request.id, getattr(request, HEADER, None)
        self.request = log_context.known_request_id()
        self.span_id, self.trace_id = random.getrandbits(64), random.getrandbits(128)

    def contexts(self) -> tuple[SpanContext, SpanContext]:
        """Its own, and its parent's, which may be invalid. A run with a parent is sampled if that is."""
        parent = _context_in(str(self.header)) if self.header else INVALID_SPAN_CONTEXT
        if parent.is_valid:
            trace, flags = parent.trace_id, parent.trace_flags
        else:
            trace = trace_id_of(self.request) if self.request else self.trace_id
            sample = telemetry().sampler.should_sample(Context(), trace, self.task, SpanKind.CONSUMER)
            flags = TraceFlags(sample.decision is Decision.RECORD_AND_SAMPLE)
        return SpanContext(trace, self.span_id, is_remote=False, trace_flags=flags), parent

    def fields(self) -> dict[str, Any]:
        """For a heartbeat, and for the span. Empty if it is not sampled."""
        own, parent = self.contexts()
        ids = {"trace": own.trace_id, "id": own.span_id, "parent": parent.span_id, "started": self.started}
        more = {"message": self.message, "request": self.request}
        return {"span": ids | more} if own.trace_flags.sampled else {}


def _context_in(header: str) -> SpanContext:
    return get_current_span(_propagator.extract({HEADER: header}, Context())).get_span_context()


_run: RunSpan | None = None  # a process of the pool runs one task at a time


def connect(app: Celery) -> None:
    app.send_task = _traced(app.send_task)  # type: ignore[method-assign]
    before_task_publish.connect(add_header)
    run_started.connect(start_run)
    run_finished.connect(finish_run)
    run_killed.connect(send_killed_run)
    worker_process_init.connect(open_sender)
    worker_process_shutdown.connect(close_sender)


def open_sender(**_: object) -> None:
    telemetry()


def close_sender(**_: object) -> None:
    """Before the process is recycled or stopped: opentelemetry-python-contrib#4916."""
    telemetry().close()


def _traced(send_task: Callable[..., Any]) -> Callable[..., Any]:
    """Celery's own publishes, beat's and retries call send_task, too."""

    @wraps(send_task)
    def send(name: str, *args: Any, **options: Any) -> Any:
        attributes = _attributes({"queue": options.get("queue"), "message": options.get("task_id")})
        context, links = _publish_context()
        with tracer().start_as_current_span(
            f"publish {name}",
            context,
            SpanKind.PRODUCER,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return send_task(name, *args, **options)
            except Exception as error:
                span.set_status(failure(error))
                raise

    return send


def _publish_context() -> tuple[Context, list[Link]]:
    """A job that was created by another request than this run's belongs to the trace of that one, with a link."""
    current = get_current_span().get_span_context()  # of a request
    if not current.is_valid and _run:
        current, _ = _run.contexts()
    request = log_context.request_id.get()
    if not current.is_valid:
        return Context(), []
    if request == log_context.UNKNOWN or current.trace_id == trace_id_of(request):
        return set_span_in_context(NonRecordingSpan(current), Context()), []
    return Context(), [Link(current)]


def add_header(headers: dict[str, Any], **_: object) -> None:
    """A receiver of `before_task_publish`. A retry replaces the header that it has from its first run."""
    _propagator.inject(headers)


def start_run(run: Run, request: Any, **_: object) -> None:
    global _run
    _run = RunSpan(run.metadata["task"], request)
    run.heartbeat_fields = _run.fields


def finish_run(run: Run, record: dict[str, Any], error: Exception | None, **_: object) -> None:
    global _run
    if span := _run:
        _run = None
        status = failure(run.error or error) if record["outcome"] in FAILED else SUCCESS
        telemetry().sender.add(partial(_finished_run, span, record | {"attempt": run.attempt}, status))


def _finished_run(span: RunSpan, record: dict[str, Any], status: Status) -> ReadableSpan | None:
    fields = span.fields()
    return _span_of(record | fields, status) if fields else None


def send_killed_run(run: dict[str, Any], **_: object) -> None:
    """run: its last heartbeat."""
    telemetry().sender.on_end(_span_of(run, Status(StatusCode.ERROR, "The process was killed.")))


def _span_of(run: dict[str, Any], status: Status) -> ReadableSpan:
    """run: its record and the fields of its span."""
    span = run["span"]
    own = SpanContext(span["trace"], span["id"], is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    parent = SpanContext(span["trace"], span["parent"], is_remote=True) if span["parent"] else None
    return ReadableSpan(
        f"run {run['task']}",
        own,
        parent,
        telemetry().resource,
        _attributes(run | span),
        kind=SpanKind.CONSUMER,
        status=status,
        start_time=span["started"],
        end_time=int(run["ended_at"] * 1e9),
        instrumentation_scope=SCOPE,
    )


def _attributes(values: dict[str, Any]) -> dict[str, Any]:
    """Few, because each costs time: the task is in the name, the host and the release are in the resource."""
    return {ATTRIBUTES[name]: value for name, value in values.items() if name in ATTRIBUTES and value}


def failure(error: BaseException | None) -> Status:
    return Status(StatusCode.ERROR, log_context.anonymize(repr(error)) if error else None)
