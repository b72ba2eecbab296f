"""Records of runs that nobody collects stay within a bound, and fill no server."""

import json
import time
from typing import Any

from django_redis import get_redis_connection

from tests.outages import make_unreachable
from workers.models import TaskRun
from workers.telemetry import recorder, rollups
from workers.telemetry.recorder import STREAM, run_killed


def record(queue: str = "q") -> dict[str, Any]:
    return {"task": "t", "queue": queue, "worker": "w", "release": "", "outcome": "succeeded", "ended_at": time.time()}


def test_records_that_nobody_collects_stay_below_their_bound_and_the_newest_stay(db, monkeypatch, caplog):
    monkeypatch.setattr(recorder, "MAX_STREAM_BYTES", 100_000)
    redis, sender = get_redis_connection("locks"), recorder.RunRecorder()
    for number in range(1_000):
        sender.finish(record(f"{number}" * (number % 50)))
        if number % 100 == 99:
            assert sender.send()
            assert redis.memory_usage(STREAM) <= 100_000
    (_, newest), *_ = redis.xrevrange(STREAM, count=1)
    assert json.loads(newest[b"run"])["queue"] == "999" * 49
    assert "run_records_dropped" in caplog.text
    assert rollups.collect_runs() == TaskRun.objects.count() > 100


def test_a_process_keeps_a_bounded_number_of_records_while_the_server_is_away(settings):
    make_unreachable(settings, "locks")
    sender = recorder.RunRecorder()
    for _ in range(recorder.MAX_RECORDS + 1):
        sender.finish(record())
    assert not sender.send()
    assert len(sender._records) == recorder.MAX_RECORDS


def test_a_receiver_that_fails_does_not_make_the_collector_read_the_same_runs_again(db, caplog):
    def fail(run: dict[str, Any], **_: object) -> None:
        raise ValueError(run["span"])

    get_redis_connection("locks").xadd(STREAM, {"run": json.dumps(record() | {"span": "unknown"})})
    run_killed.connect(fail)
    try:
        assert [rollups.collect_runs(), rollups.collect_runs()] == [1, 0]
    finally:
        run_killed.disconnect(fail)
    assert "ValueError: unknown" in caplog.text
