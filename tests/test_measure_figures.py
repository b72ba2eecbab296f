"""Each practice's verify() measures the figure of its chart."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
import redis
from django.core.cache import cache
from django.utils import timezone

from tests.outages import make_unreachable
from workers.brokers import state
from workers.models import Job, TaskHour, TaskRun
from workers.practices import backlog, broker, concurrency, locks, memory, progress, queues, recurring, timing
from workers.practices.memory import max_bytes_per_run
from workers.telemetry import canary_marks

pytestmark = pytest.mark.django_db
SWEEP, IMPORT = "workers.default.tasks.sweep_jobs", "workers.highmem.tasks.import_catalogue"


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each verify() asks the broker."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


@pytest.fixture
def valkey(settings) -> Iterator[redis.Redis]:
    with redis.from_url(settings.BROKER_URL) as server:
        yield server
        server.config_set("maxmemory", 0)


def ago(seconds: float) -> timezone.datetime:
    return timezone.now() - timedelta(seconds=seconds)


def write_runs(task: str, queue: str, count: int, **fields) -> None:
    first, ended = TaskRun.objects.count(), ago(60)
    run = {"task": task, "queue": queue, "outcome": "succeeded", "ended_at": ended} | fields
    TaskRun.objects.bulk_create(TaskRun(id=first + number, **run) for number in range(count))


def test_the_brokers_memory_is_measured_with_and_without_a_limit(valkey):
    used = valkey.info("memory")["used_memory"]
    assert broker.verify().figure == pytest.approx(used, rel=0.5)
    valkey.config_set("maxmemory", used * 4)
    assert broker.verify().figure == pytest.approx(used, rel=0.5)


def test_held_locks_are_counted():
    with ExitStack() as held:
        assert locks.verify().figure == 0
        for name in ("a", "b"):
            held.enter_context(locks.exclusive(name, lease=30))
        assert locks.verify().figure == 2


def test_the_longest_wait_is_the_p95_or_the_age_of_a_job_of_a_time_sensitive_queue():
    write_runs("t", "urgent", 20, wait_seconds=2.5)
    write_runs("t", "video", 20, wait_seconds=500)
    assert queues.verify().figure == 2.5
    for queue, seconds in (("urgent", 62), ("video", 500)):
        Job.objects.create(task="t", queue=queue, queued_at=timezone.now() - timedelta(seconds=seconds))
    assert 62 <= queues.verify().figure < 500


@pytest.mark.parametrize("outcome", ["refused", "retried", "cancelled"])
def test_a_message_that_nobody_waits_for_is_no_late_run(outcome):
    write_runs("t", "urgent", 1, wait_seconds=40, outcome=outcome)
    finding = queues.verify()
    assert (finding.ok, finding.figure) == (True, None)
    assert "nothing ran from urgent in ten minutes" in finding.summary
    write_runs("t", "urgent", 1, wait_seconds=0.2)
    assert queues.verify().summary.startswith("urgent waited 0.2 s (p95 of ten minutes)")


def test_the_jobs_on_one_table_are_counted(alice, bob, stella):
    for owner, name in ((alice, "a"), (bob, "a"), (stella, "b")):
        started = {"state": "running", "queued_at": ago(60), "started_at": ago(60)}
        Job.objects.create(task=IMPORT, queue="imports", owner=owner, arguments={"table": name}, **started)
    assert concurrency.verify().figure == 2


def test_nobody_at_work_is_a_figure_too():
    assert concurrency.verify().figure == 0


def test_the_runs_that_were_skipped_are_counted_once_for_entries_of_one_task():
    recurring.restore_entries()
    write_runs(SWEEP, "default", 3, outcome="expired")
    write_runs(SWEEP, "default", 2, outcome="refused")
    assert recurring.verify().figure == 5


def test_what_cannot_be_measured_has_no_figure(settings):
    recurring.restore_entries()
    write_runs(SWEEP, "default", 3, outcome="expired")
    make_unreachable(settings, "default")
    finding = recurring.verify()
    assert (finding.ok, finding.figure) == (None, None)


def test_the_oldest_report_has_an_age(alice):
    running = {"task": "t", "queue": "video", "owner": alice, "state": "running", "queued_at": ago(60)}
    silent = Job.objects.create(started_at=ago(40), **running)
    reporting = Job.objects.create(started_at=ago(900), **running)
    progress.Progress(reporting.pk, alice.pk).report(1, 2, "x")
    assert progress.verify().figure == pytest.approx(40, abs=5)
    silent.delete()
    assert progress.verify().figure == pytest.approx(0, abs=5)
    reporting.delete()
    assert progress.verify().figure == 0


def test_the_slowest_task_is_a_multiple_of_its_last_week():
    hours = {"queue": "default", "outcomes": {}, "runs": 40}
    for task, usual in (("slow", 2.0), ("steady", 4.0), ("short", 0.001)):
        write_runs(task, "default", 40, run_seconds=5.0 if task != "short" else 0.01)
        TaskHour.objects.bulk_create(
            TaskHour(task=task, hour=ago(3600 * age), run_p95=usual, **hours) for age in range(2, 100)
        )
    assert timing.verify().figure == pytest.approx(2.5)


def test_the_oldest_message_has_an_age():
    assert backlog.verify().figure == 0
    cache.set(canary_marks.KEY.format("default"), ago(20).timestamp())
    Job.objects.create(task="t", queue="video", queued_at=ago(90))
    assert backlog.verify().figure == pytest.approx(90, abs=5)


def test_the_age_is_known_without_the_broker(settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    Job.objects.create(task="t", queue="video", queued_at=ago(90))
    assert backlog.verify().figure == pytest.approx(90, abs=5)


def test_the_largest_run_is_a_share_of_what_it_may_use():
    for task, worker, share in ((SWEEP, "default", 0.5), (IMPORT, "highmem", 0.25)):
        peak = int(max_bytes_per_run(worker) * share)
        TaskHour.objects.create(task=task, queue="q", hour=timezone.now(), outcomes={}, runs=1, peak_p95=peak)
    assert memory.verify().figure == pytest.approx(50, abs=0.1)
