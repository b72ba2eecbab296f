"""Practice 7: each run of a task is recorded once, however it ends; verify() fails while a task is slower."""

import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import current_app
from django.core.files.base import ContentFile
from django.utils import timezone
from django_redis import get_redis_connection
from redis import Redis

from devtools.processes import DEADLINE_SECONDS, wait_until
from mediaapp.uploads.receive import store_upload
from tests.conftest import environment
from tests.outages import UNREACHABLE_URL
from workers.models import Job, TaskHour, TaskRun
from workers.practices import timing
from workers.telemetry import rollups
from workers.telemetry.recorder import HEARTBEATS, STREAM, Run

Start = Callable[..., subprocess.Popen]
OURS = {"CELERY_WORKER_INCLUDE": "tests.tasks", "RELEASE": "v7"}


def send(task: str, *args: Any, **options: Any) -> None:
    current_app.send_task(f"tests.tasks.{task}", args=args, queue="default", **options)


def runs_of(task: str) -> list[TaskRun]:
    """In the order in which they ended. The stream's order differs, because processes send in batches."""
    rollups.collect_runs()
    return list(TaskRun.objects.filter(task__endswith=f".{task}").order_by("ended_at"))


def wait_for_runs(task: str, *outcomes: str) -> list[TaskRun]:
    """The runs of a task, once they have exactly these outcomes."""
    with suppress(TimeoutError):  # the assertion shows what there is instead
        wait_until(lambda: [run.outcome for run in runs_of(task)] == list(outcomes))
    runs = runs_of(task)
    assert [run.outcome for run in runs] == list(outcomes)
    return runs


def test_each_way_to_end_has_its_outcome(start: Start, broker: Redis, monkeypatch):
    monkeypatch.setattr(rollups, "LOST_AFTER_SECONDS", 20)
    start("default", LAST_SECONDS="10", **OURS)  # whichever is the last heartbeat
    send("be_killed_once")
    send("exceed_hard_limit")
    for task in ("refuse", "requeue_once", "fail", "retry_once"):
        send(task)
    send("sleep", 0.3)
    (run,) = wait_for_runs("sleep", "succeeded")
    assert 0.3 <= run.run_seconds < DEADLINE_SECONDS
    assert 0 <= run.wait_seconds < DEADLINE_SECONDS
    assert (run.queue, run.release, run.worker.split("@")[0]) == ("default", "v7", "default")
    (failed,) = wait_for_runs("fail", "failed")
    assert failed.error.endswith("in fail\n    raise ValueError\nValueError\n")
    assert (failed.job_id, run.error) == (None, "")
    wait_for_runs("refuse", "refused")
    wait_for_runs("requeue_once", "retried", "succeeded")
    first, again = wait_for_runs("retry_once", "retried", "succeeded")
    between = (again.ended_at - first.ended_at).total_seconds() - again.run_seconds
    # A retry has a new publish time, and its countdown of ten seconds is no wait.
    assert again.wait_seconds < between - 1
    wait_for_runs("exceed_hard_limit", "failed")
    # The killed run is recorded last, without a heartbeat. A second delivery keeps the first one's publish time.
    wait_until(lambda: len(runs_of("be_killed_once")) == 2, "the lost run")
    lost, redelivered = sorted(runs_of("be_killed_once"), key=lambda run: run.ended_at)
    assert (lost.outcome, redelivered.outcome) == ("lost", "succeeded")
    assert lost.run_seconds > 1
    assert redelivered.wait_seconds > lost.run_seconds


@pytest.mark.parametrize(("limit_seconds", "outcome"), [(1001, "failed"), (2000, "lost"), (math.inf, "lost")])
def test_a_kill_is_that_of_the_time_limit_if_the_last_heartbeat_was_shortly_before_it(limit_seconds, outcome):
    run = Run("key", {}, limit_seconds, started=time.monotonic() - 1000)
    assert run.record()["outcome"] == outcome


def test_an_expired_message_is_recorded(start: Start, broker: Redis):
    send("sleep", 0, expires=0.1)
    start("default", **OURS)
    (run,) = wait_for_runs("sleep", "expired")
    assert run.run_seconds is None


def test_each_way_to_end_has_its_outcome_on_rabbitmq(start: Start, rabbitmq: str, monkeypatch):
    monkeypatch.setattr(rollups, "LOST_AFTER_SECONDS", 5)
    start("default", BROKER_URL=rabbitmq, **OURS)
    code = (
        "from config import celery_app as app\n"
        "for name, args in {calls!r}:\n"
        "    app.send_task('tests.tasks.' + name, args=args, queue='default')\n"
    )
    calls = [("sleep", [0.3]), ("fail", []), ("requeue_once", []), ("retry_once", []), ("be_killed_once", [])]
    program = "import django; django.setup()\n" + code.format(calls=calls)
    variables = environment(BROKER_URL=rabbitmq, DJANGO_SETTINGS_MODULE="config.settings")
    subprocess.run([sys.executable, "-c", program], env=variables, check=True)
    (run,) = wait_for_runs("sleep", "succeeded")
    assert run.wait_seconds is not None
    wait_for_runs("fail", "failed")
    wait_for_runs("requeue_once", "retried", "succeeded")
    assert {run.queue for run in wait_for_runs("retry_once", "retried", "succeeded")} == {"default"}
    wait_until(lambda: len(runs_of("be_killed_once")) == 2, "the lost run")
    assert Counter(run.outcome for run in runs_of("be_killed_once")) == Counter(["lost", "succeeded"])


def test_the_run_of_a_failed_job_is_recorded_as_failed(start: Start, broker: Redis, alice):
    upload = store_upload(alice, ContentFile(b"external_id,title\n" + b"x" * 1_100_000, name="one-long-line.csv"))
    start("highmem")
    (run,) = wait_for_runs("import_catalogue", "failed")
    assert (run.job_id, run.error) == (upload.pk, "")  # the row of its job has the error
    assert Job.objects.get(pk=upload.pk).state == Job.State.FAILED


def test_the_run_of_a_done_job_is_recorded_as_succeeded(start: Start, broker: Redis, alice):
    store_upload(alice, ContentFile(b"external_id,title,price\nB-1,One,2.50\n", name="books.csv"))
    Job.objects.update(queued_at=timezone.now() - timedelta(seconds=1000))  # its message is younger than it
    start("highmem")
    (run,) = wait_for_runs("import_catalogue", "succeeded")
    assert run.wait_seconds >= 1000


def test_tasks_run_at_full_speed_while_the_streams_server_is_away(start: Start, broker: Redis, tmp_path: Path):
    start("default", LOCKS_URL=UNREACHABLE_URL, **OURS)
    for number in range(200):
        send("touch", str(tmp_path / f"{number}.touched"))
    # 200 tries of a second each, in 4 processes, would take 50 s and more.
    wait_until(lambda: len(list(tmp_path.glob("*.touched"))) == 200, "the tasks")


def test_a_worker_sends_its_records_before_it_stops(start: Start, broker: Redis, tmp_path: Path):
    worker = start("default", CLOSE_SECONDS="60", **OURS)
    send("touch", str(tmp_path / "it.touched"))
    wait_until((tmp_path / "it.touched").exists, "the task")
    psutil.Process(worker.pid).terminate()
    worker.wait()
    assert [run.outcome for run in runs_of("touch")] == ["succeeded"]


def record(**more: Any) -> dict[str, Any]:
    now = timezone.now().timestamp()
    return {"task": "t", "queue": "q", "worker": "w", "release": "", "outcome": "succeeded", "ended_at": now} | more


def test_a_crash_between_insert_and_delete_duplicates_no_run(db, monkeypatch):
    redis = get_redis_connection("locks")
    entry_ids = [redis.xadd(STREAM, {"run": json.dumps(record(run_seconds=n))}) for n in range(3)]
    stored = {rollups.row_id(number): record() for number in entry_ids[:2]}
    rollups.store_runs(stored)  # and then the collector is killed
    assert rollups.collect_runs() == 3
    assert TaskRun.objects.count() == 3
    assert redis.xlen(STREAM) == 0


def test_a_run_with_a_heartbeat_is_not_lost(db):
    redis = get_redis_connection("locks")
    redis.hset(HEARTBEATS, "silent", json.dumps(record(outcome="lost", ended_at=timezone.now().timestamp() - 60)))
    redis.hset(HEARTBEATS, "working", json.dumps(record(outcome="lost")))
    rollups.collect_runs()
    assert TaskRun.objects.count() == 1
    assert redis.hkeys(HEARTBEATS) == [b"working"]


def make_runs(task: str, hours_ago: float, seconds: list[float], outcome: str = "succeeded") -> None:
    """Runs of a task that ended so many hours ago."""
    first = TaskRun.objects.count()
    ended = timezone.now() - timedelta(hours=hours_ago)
    TaskRun.objects.bulk_create(
        TaskRun(
            id=first + n,
            task=task,
            queue="q",
            outcome=outcome,
            ended_at=ended,
            run_seconds=taken,
            wait_seconds=n,
            peak_bytes=n,
        )
        for n, taken in enumerate(seconds)
    )


def test_an_hour_has_run_times_and_outcomes(db):
    make_runs("t", 5, [float(n) for n in range(1, 101)])
    make_runs("t", 5, [0.0] * 50, outcome="refused")
    rollups.roll_up_hours()
    hour = TaskHour.objects.get()
    assert hour.outcomes == {"succeeded": 100, "refused": 50}
    assert (hour.runs, hour.run_p50, hour.run_p95, hour.run_max) == (100, 50.5, pytest.approx(95.05), 100)
    assert (hour.wait_p50, hour.wait_max, hour.peak_max) == (49.5, 99, 99)


def test_the_next_roll_up_counts_a_late_run(db):
    make_runs("t", 5, [1.0])
    rollups.roll_up_hours()
    make_runs("t", 5, [3.0])
    rollups.roll_up_hours()
    rollups.roll_up_hours()
    hour = TaskHour.objects.get()
    assert (hour.runs, hour.run_max) == (2, 3)


def test_an_hour_keeps_the_runs_that_the_retention_deletes(db, settings):
    settings.KEEP_RUNS_DAYS = 1
    for minutes in (-30, 30):
        at = timezone.now() - timedelta(days=1, minutes=minutes)
        make_run = {"task": "t", "outcome": "succeeded", "run_seconds": 1}
        TaskRun.objects.create(id=int(at.timestamp() * 1000) << 20, ended_at=at, **make_run)
        hour = at.replace(minute=0, second=0, microsecond=0)
        TaskHour.objects.update_or_create(task="t", queue="", hour=hour, defaults={"outcomes": {}, "runs": 7})
    hours = dict(TaskHour.objects.values_list("hour", "runs"))
    rollups.delete_old_runs()
    rollups.roll_up_hours()
    assert dict(TaskHour.objects.values_list("hour", "runs")) == hours


def test_retention_deletes_old_runs_and_hours_only(db, monkeypatch):
    monkeypatch.setattr(rollups, "DELETE_ROWS", 2)
    for days in (29, 31, 32, 33):
        moment = timezone.now() - timedelta(days=days)
        TaskRun.objects.create(id=int(moment.timestamp() * 1000) << 20, task="t", outcome="failed", ended_at=moment)
    for days in (364, 367):
        TaskHour.objects.create(task="t", queue="q", hour=timezone.now() - timedelta(days=days), outcomes={}, runs=0)
    assert [rollups.delete_old_runs() for _ in range(3)] == [2, 1, 0]  # a chunk each
    assert (rollups.delete_old_hours(), rollups.delete_old_hours()) == (1, 0)
    assert (TaskRun.objects.count(), TaskHour.objects.count()) == (1, 1)


def make_steady_week(task: str) -> None:
    """40 runs an hour of 0.01 to 0.40 s, in every hour of the last week but this one."""
    now = timezone.now()
    TaskHour.objects.bulk_create(
        TaskHour(task=task, queue="default", hour=now - timedelta(hours=age), outcomes={}, runs=40, run_p95=0.38)
        for age in range(2, 168)
    )


def test_verify_fails_while_a_task_is_slower(start: Start, broker: Redis):
    make_steady_week("tests.tasks.sleep")
    start("default", **OURS)
    for _ in range(20):
        send("sleep", 0.01)
    wait_for_runs("sleep", *["succeeded"] * 20)
    assert timing.verify().ok is True
    for _ in range(12):
        send("sleep", 0.8)
    wait_for_runs("sleep", *["succeeded"] * 32)
    finding = timing.verify()
    assert finding.ok is False
    assert "tests.tasks.sleep" in finding.reason
    TaskRun.objects.filter(run_seconds__gt=0.7).update(ended_at=timezone.now() - timedelta(hours=2))
    assert timing.verify().ok is True


def test_verify_ignores_a_few_slow_runs(db):
    make_steady_week("t")
    make_runs("t", 0, [0.1] * 37 + [2.0] * 3)
    assert timing.verify().ok is True


def test_verify_holds_for_a_young_site(db):
    make_runs("t", 0, [1.0, 2.0])
    finding = timing.verify()
    assert (finding.ok, "too young to compare: 2 runs" in finding.summary) == (True, True)


def test_verify_is_unknown_before_the_first_run(db):
    assert timing.verify().ok is None


def test_verify_is_unknown_while_no_run_is_collected(db):
    make_steady_week("t")
    make_runs("t", 0.5, [0.1])
    assert "collected" in timing.verify().reason
