"""A message with a header that nobody expects ends no thread of the process that runs it."""

from types import SimpleNamespace
from typing import Any

import pytest
from django_redis import get_redis_connection
from opentelemetry.sdk.trace import TracerProvider

from devtools.processes import wait_until
from tests.collector import collecting
from workers.telemetry.recorder import STREAM, Run, RunRecorder
from workers.tracing.sender import SpanSender
from workers.tracing.spans import RunSpan


def fail() -> Any:
    raise TypeError


def test_a_traceparent_that_is_no_text_is_none():
    own, parent = RunSpan("a.task", SimpleNamespace(id="x", traceparent=5)).contexts()
    assert (own.is_valid, parent.is_valid) == (True, False)


def test_runs_are_recorded_after_a_heartbeat_that_could_not_be_written(caplog):
    recorder = RunRecorder()
    recorder.open()
    run = Run("strange 1", {"task": "a.task", "queue": "default"}, heartbeat_fields=fail)
    run.started -= 2  # its first heartbeat is due
    recorder.start(run)
    wait_until(lambda: "run_records_lost" in caplog.text, "the heartbeat")
    recorder.finish(run.record("succeeded"))
    wait_until(lambda: get_redis_connection("locks").xlen(STREAM), "the record")
    recorder.close()


def test_spans_are_sent_after_one_that_could_not_be_made(monkeypatch: pytest.MonkeyPatch, caplog):
    with collecting() as (collector, variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        sender, span = SpanSender(), TracerProvider().get_tracer("a").start_span("run a.task")
        span.end()
        sender.add(fail)
        sender.add(lambda: span)
        sender.close(10)
        assert [span["name"] for span in collector.spans] == ["run a.task"]
    assert "span_not_made" in caplog.text
