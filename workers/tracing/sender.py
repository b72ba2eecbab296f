"""A thread sends spans in batches, so that neither a task nor a request waits for the collector.

The SDK's BatchSpanProcessor does not fit: it starts a thread between the fork and the exec of each program with a
`preexec_fn`, and its flush ignores its time limit (docs/facts/tools.md#opentelemetry).
"""

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from importlib import import_module

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_BSP_SCHEDULE_DELAY
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

log = logging.getLogger(__name__)

import_module("requests")  # before the fork: the exporter imports it in each process

MAX_SPANS = 2048  # in a process, while the collector is away: about 3 MB. Then the oldest go.
BATCH_SPANS = 512  # are sent at once
DELAY_MILLISECONDS = "5000"  # fewer are sent after it. A request takes 2 ms of a processor
RETRY_SECONDS = 10  # after the exporter gave up


class SpanSender(SpanProcessor):
    """Only for a process that forks no other Python process: its thread starts here."""

    def __init__(self) -> None:
        self._spans = deque[Callable[[], ReadableSpan | None]](maxlen=MAX_SPANS)
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._send_batches, name="span sender", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        if span.context and span.context.trace_flags.sampled:
            self.add(lambda: span)

    def add(self, make: Callable[[], ReadableSpan | None]) -> None:
        """make: is called in the thread that sends, and returns None for a span that is not sampled."""
        self._spans.append(make)
        if len(self._spans) % BATCH_SPANS == 0:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Sends what is left. Blocks for `seconds` at most."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    def _send_batches(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are for the thread of the tasks
        exporter = OTLPSpanExporter()
        delay = int(os.environ.get(OTEL_BSP_SCHEDULE_DELAY, DELAY_MILLISECONDS)) / 1_000
        while not self._closing.is_set():
            self._wake.wait(delay)
            self._wake.clear()
            if not self._send(exporter):
                self._closing.wait(RETRY_SECONDS)
        self._send(exporter)

    def _send(self, exporter: OTLPSpanExporter) -> bool:
        """False if the collector took no batch. It is lost: the exporter has tried for OTEL_EXPORTER_OTLP_TIMEOUT."""
        while self._spans:
            batch = [span for _ in range(min(BATCH_SPANS, len(self._spans))) if (span := _made(self._spans.popleft()))]
            if batch and exporter.export(batch) is not SpanExportResult.SUCCESS:
                log.warning("spans_not_sent count=%s", len(batch))
                return False
        return True


def _made(make: Callable[[], ReadableSpan | None]) -> ReadableSpan | None:
    try:
        return make()
    except Exception:  # else no span of this process would be sent any more
        log.exception("span_not_made")
        return None
