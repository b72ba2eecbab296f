"""A canary through each queue finds a worker that lives and takes nothing, before anybody waits."""

import time

import pytest
from django.core.cache import cache
from django.utils import timezone

from devtools.processes import stop, wait_until
from tests import in_subprocess
from workers.brokers import EMPTY, state
from workers.brokers.connection import count_ready
from workers.models import Job, QueueSample, TaskRun, TaskTotal
from workers.practices import backlog
from workers.queues import table
from workers.telemetry import canaries, liveness
from workers.telemetry.waits import p95_waits

pytestmark = pytest.mark.django_db(transaction=True)
SAMPLE = "from workers.practices import backlog; backlog.sample()"
VIDEO = canaries.KEY.format("video")
FAULT = "The video worker is at rest and has not answered the canary in video"
STATES = dict.fromkeys(table().queues, EMPTY)


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each call asks the broker."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_environment(request, settings) -> dict[str, str]:
    if request.param == "valkey":
        request.getfixturevalue("broker")
    else:
        vhost = request.getfixturevalue("vhost")
        settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = vhost.url, vhost.management
    return {"BROKER_URL": settings.BROKER_URL, "BROKER_MANAGEMENT_URL": settings.BROKER_MANAGEMENT_URL}


def test_a_worker_that_lives_and_takes_nothing_is_found_and_one_that_works_is_not(
    broker_environment, start, monkeypatch
):
    monkeypatch.setattr(canaries, "MAX_IDLE_SECONDS", 1)
    deaf = start("video", app="tests.deaf_app", **broker_environment)
    in_subprocess.run(SAMPLE, **broker_environment)
    assert [count_ready(queue) for queue in ("urgent", "imports", "highmem", "maintenance")] == [1, 1, 1, 1]
    wait_until(lambda: FAULT in backlog.verify().reason, "the canary to be late")
    assert "canary in imports" not in backlog.verify().reason  # no worker consumes it, which has a sentence of its own
    stop(deaf)
    start("video", **broker_environment)
    wait_until(lambda: cache.get(VIDEO) is None, "the answer")
    assert FAULT not in backlog.verify().reason


def late_canary() -> None:
    cache.set(VIDEO, time.time() - 100)


def living(seconds: float = 1000) -> liveness.Worker:
    """A video worker that started so many seconds ago."""
    now = time.time()
    worker = liveness.Worker("video@host", ["video"], started_at=now - seconds, beat_at=now)
    liveness.beat(worker)
    return worker


def running() -> Job:
    now = timezone.now()
    return Job.objects.create(task="a", queue="video", state=Job.State.RUNNING, queued_at=now, started_at=now)


def test_a_worker_at_work_gets_no_canary_and_leaves_one_without_a_fault(broker):
    living()
    late_canary()
    assert canaries.idle_ages().keys() == {"video"}
    job = running()
    assert canaries.idle_ages() == {}
    canaries.send(STATES)  # beat sees that it works
    job.delete()
    assert canaries.idle_ages() == {}  # the time of its run does not count
    cache.delete(canaries.BUSY_KEY.format("video"))
    assert canaries.idle_ages().keys() == {"video"}
    cache.delete(VIDEO)
    running()
    canaries.send(STATES)
    assert broker.llen("video") == 0


def test_a_worker_that_has_just_started_has_its_time(broker):
    late_canary()
    living(seconds=10)
    assert canaries.idle_ages() == {}


def test_a_canary_that_the_broker_lost_is_sent_again(broker):
    late_canary()
    canaries.send(STATES)
    assert broker.llen("video") == 1
    assert canaries.idle_ages() == {}


def test_a_canary_that_a_killed_worker_had_is_sent_again_once_another_one_lives(broker):
    states = STATES | {"video": EMPTY | {"unacked": 1}}
    late_canary()
    killed = living()
    canaries.send(states)
    assert broker.llen("video") == 0
    liveness.remove_heartbeat(killed)
    living(seconds=10)
    canaries.send(states)
    assert broker.llen("video") == 1


def test_canaries_count_neither_as_finished_runs_nor_as_waits(broker):
    run = {"task": table().canary_task, "queue": "urgent"}
    for task, count in ((table().canary_task, 7), ("a", 2)):
        TaskTotal.objects.create(task=task, queue="urgent", outcomes={"succeeded": count})
    TaskRun.objects.create(id=1, outcome="succeeded", ended_at=timezone.now(), wait_seconds=9, **run)
    backlog.sample()
    assert QueueSample.objects.get(queue="urgent").finished == 2
    assert p95_waits(["urgent"]) == {"urgent": 0.0}
