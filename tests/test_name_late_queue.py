"""Practice 8 says why a queue is late: no worker, no message, or too few workers."""

import os
import re
import signal
import time
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from devtools.processes import wait_until
from workers.brokers import state
from workers.models import Job, Pause
from workers.practices import backlog, queues
from workers.queues import table
from workers.telemetry import entry_actions, liveness, pauses
from workers.telemetry.liveness import Worker
from workers.telemetry.queue_samples import store_samples

pytestmark = pytest.mark.django_db(transaction=True)
SWEEP = "workers.default.tasks.sweep_jobs"
IMPORT = "workers.highmem.tasks.import_catalogue"
NO_MESSAGE = "The oldest in imports has no message for 192 s of 60 s: "
WAITED = "The oldest in imports has waited 192 s of 60 s"
ADD_ONE = f"{WAITED}: add a highmem worker, unless its queue is full (practice 1)."


@pytest.fixture(autouse=True)
def living_workers(broker, monkeypatch) -> None:
    """All that the table has."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)
    store_samples({})
    for worker in table().workers:
        beat(worker.name)


def beat(name: str, seconds_ago: float = 0) -> None:
    """A worker's last heartbeat."""
    names = [queue for queue, consumer in table().consumers.items() if consumer == name]
    liveness.beat(Worker(f"{name}@vm", names, time.time() - 500, time.time() - seconds_ago))


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def late_import(owner: Any, **fields: Any) -> Job:
    values = {"queue": "imports", "queued_at": ago(192), "owner": owner} | fields
    return Job.objects.create(task=IMPORT, **values)


def pause_sweep() -> None:
    ten = IntervalSchedule.objects.create(every=10, period="seconds")
    entry = PeriodicTask.objects.create(name="sweep jobs", task=SWEEP, interval=ten, expire_seconds=9)
    entry_actions.pause_entry(entry, by="stella")


def reason_of(practice: ModuleType) -> str:
    """The job was late for 192 s when it was made; a busy machine takes some more until it asks."""
    return re.sub(r"\b(19[2-9]|2\d\d) s of", "192 s of", practice.verify().reason)


def test_a_job_without_a_message_asks_for_no_worker_and_names_who_paused_what_publishes_it(alice):
    late_import(alice)
    reason = reason_of(backlog)
    assert f"{NO_MESSAGE}Is the queue full, the broker away, or beat down? Practices 1 and 5 tell." in reason
    assert "add a" not in reason
    pause_sweep()
    reason = reason_of(backlog)
    assert f"{NO_MESSAGE}sweep jobs is paused by stella since " in reason
    assert "add a" not in reason
    Job.objects.all().delete()
    assert "sweep jobs" not in reason_of(backlog)


def test_the_queue_of_what_publishes_jobs_may_be_paused_as_well(alice):
    late_import(alice)
    pauses.pause(Pause.Kind.QUEUE, "default", by="stella")
    assert f"{NO_MESSAGE}default is paused by stella since " in reason_of(backlog)


def test_practice_3_names_the_pause_too(alice):
    pause_sweep()
    late_import(alice, queue="urgent")
    assert "no message for 192 s of 10 s: sweep jobs is paused by stella since " in reason_of(queues)


@pytest.mark.parametrize("earlier", ["state", "dispatched_at", "not_before"])
def test_a_job_that_waits_for_its_owners_turn_misses_no_message(alice, bob, earlier):
    pause_sweep()
    values = {"state": "running", "dispatched_at": ago(0), "not_before": ago(-600)}
    first = late_import(alice, **{earlier: values[earlier], "queued_at": ago(20)})
    late_import(alice)
    assert WAITED in reason_of(backlog)
    assert "no message" not in reason_of(backlog)
    Job.objects.filter(pk=first.pk).update(owner=bob)
    assert NO_MESSAGE in reason_of(backlog)


def test_a_silent_worker_comes_first_and_its_late_queue_asks_for_no_other_one(alice):
    late_import(alice, dispatched_at=ago(190))
    beat("highmem", seconds_ago=72)
    reason = reason_of(backlog)
    assert re.match(r"highmem@vm has been silent for 7\d s: it is stopped, or its machine is lost\.", reason)
    assert reason.endswith(f"{WAITED}.")


def test_a_late_message_asks_for_a_worker_and_with_a_frozen_one_names_that_first(start, monkeypatch, alice):
    worker = start("highmem")
    late_import(alice, dispatched_at=ago(190))
    assert ADD_ONE in reason_of(backlog)
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 5)
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: "imports" in liveness.queues_without_worker(), "its silence")
        reason = reason_of(backlog)
    finally:
        os.killpg(worker.pid, signal.SIGCONT)
    assert reason.index("has been silent") < reason.index("The oldest in imports has waited")
    assert "add a highmem worker" not in reason
