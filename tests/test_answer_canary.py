"""A canary through each queue finds a worker that lives and takes nothing, before anybody waits."""

import time

import pytest
from celery import current_app
from django.core.cache import cache
from django.db import OperationalError, connection
from django.utils import timezone

from devtools.processes import wait_until
from tests import in_subprocess
from workers.brokers import EMPTY, state
from workers.brokers.connection import count_ready
from workers.models import Job, Pause, QueueSample, TaskRun, TaskTotal
from workers.practices import backlog
from workers.practices import broker as practice_1
from workers.queues import table
from workers.schedule import scheduled_queues
from workers.telemetry import canaries, canary_marks, liveness, pauses
from workers.telemetry.waits import p95_waits

pytestmark = pytest.mark.django_db(transaction=True)
SAMPLE = "from workers.practices import backlog; backlog.sample()"
VIDEO = canary_marks.KEY.format("video")
FAULT = "The video worker is at rest and has not answered the canary in video"
STATES = dict.fromkeys(table().queues, EMPTY | {"consumers": 1})


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
    broker_environment, start, monkeypatch, tmp_path
):
    monkeypatch.setattr(canaries, "MAX_IDLE_SECONDS", 0.5)
    may_begin = tmp_path / "may_begin"
    start("video", app="tests.deaf_app", MAY_BEGIN=str(may_begin), **broker_environment)
    wait_until(lambda: state.read_queue_states()["video"]["consumers"], "the broker to count the worker")
    in_subprocess.run(SAMPLE, **broker_environment)
    assert [count_ready(queue) for queue in ("urgent", "imports", "highmem", "maintenance")] == [0, 0, 0, 1]
    wait_until(lambda: FAULT in backlog.verify().reason, "the canary to be late")
    assert "canary in imports" not in backlog.verify().reason  # no worker consumes it, which has a sentence of its own
    may_begin.touch()
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


def test_a_silent_worker_is_not_said_to_live_though_the_broker_counts_it(broker, monkeypatch):
    monkeypatch.setattr(backlog, "read_queue_states", lambda: STATES)
    late_canary()
    living()
    assert FAULT in backlog.verify().reason
    monkeypatch.setattr(liveness, "SILENT_SECONDS", -1)  # and now the same worker is silent
    reason = backlog.verify().reason
    assert "video@host has been silent for " in reason
    assert FAULT not in reason


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


def test_a_queue_without_a_consumer_gets_none_unless_beat_feeds_it(broker):
    canaries.send(dict.fromkeys(table().queues, EMPTY))
    assert [queue for queue in table().queues if count_ready(queue)] == scheduled_queues()


def test_a_lone_canary_is_no_work_that_the_broker_keeps(broker):
    canaries.send(dict.fromkeys(table().queues, EMPTY))
    assert practice_1.verify().ok
    current_app.send_task(table().canary_task, args=["maintenance"], queue="maintenance")
    assert practice_1.verify().reason == "maintenance has messages (1) and no consumer. Is the highmem worker up?"


def test_a_pause_counts_as_no_delay(broker):
    late_canary()
    cache.set(canary_marks.KEY.format("maintenance"), time.time() - 9000)
    for name in ("video", "maintenance"):
        pauses.pause(Pause.Kind.QUEUE, name, by="stella")
    canaries.send(STATES)
    for name in ("video", "maintenance"):
        pauses.resume(Pause.Kind.QUEUE, name)
    assert (canaries.scheduled_ages().keys(), canaries.idle_ages()) == ({"default"}, {})


def test_a_database_that_goes_away_meanwhile_is_unknown(broker):
    living()
    late_canary()
    asked = []

    def fail_for_canaries(execute, sql, params, many, context):
        asked.extend(["paused"] if "workers_pause" in sql else [])
        if len(asked) > 2:  # what is paused, how old the oldest are, and then what a worker at rest leaves
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_for_canaries):
        assert "the connection is lost" in backlog.verify().reason


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
    states = STATES | {"video": EMPTY | {"consumers": 1, "unacked": 1}}
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
    assert p95_waits(["urgent"]) == {}
