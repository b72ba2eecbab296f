"""Canaries: one small message at a time through each queue, which its worker answers.

A queue that beat feeds always has one, whose age is the age of the queue. Any other queue has one while its worker is
at rest: it finds a worker that lives, keeps its connection and takes nothing, before anybody waits. A worker at work
rightly leaves a canary waiting, so only the time counts in which nothing of the worker ran. Without a consumer such a
queue gets none: practice 8 names it anyway.
"""

import time
from collections.abc import Mapping
from typing import Any

from celery import current_app
from django.core.cache import cache
from kombu.exceptions import OperationalError

from workers.brokers import QueueState
from workers.brokers.producers import acquire_producer
from workers.models import Job
from workers.queues import table
from workers.schedule import scheduled_queues
from workers.telemetry import liveness, pauses
from workers.telemetry.canary_marks import KEY, sent_at

BUSY_KEY = "canary_busy_{}"  # of a worker: when it was last seen at work
TTL = 24 * 3600  # seconds, after which a message is worth nothing, and the next one is sent
LOST_SECONDS = 60  # after which a canary that no living worker can have is given up
MAX_IDLE_SECONDS = 60  # for which a worker at rest may leave it: beat looks who is at work every 30 s


def send(states: Mapping[str, QueueState]) -> None:
    """Sends none while the cache is away, nor into a queue that is paused or whose last canary is unanswered.

    Raises DatabaseError, RedisError.
    """
    busy, fed, started = _busy_workers(), scheduled_queues(), _started_at()
    for worker in busy:
        cache.set(BUSY_KEY.format(worker), time.time(), TTL)
    unpaused = pauses.without_paused(table().queues)
    cache.delete_many([KEY.format(queue) for queue in table().queues if queue not in unpaused])  # a pause is no delay
    for queue in unpaused:
        worker = table().consumers[queue]
        if queue in fed or (worker not in busy and states[queue]["consumers"]):
            _give_up_lost(queue, states[queue], started.get(worker, 0.0))
            _send(queue)


def answer(queue: str) -> None:
    cache.delete(KEY.format(queue))


def scheduled_ages() -> dict[str, float]:
    """Seconds since the unanswered canary of each queue that beat feeds was sent. Raises DatabaseError."""
    return {queue: time.time() - at for queue, at in sent_at(pauses.without_paused(scheduled_queues())).items()}


def idle_ages() -> dict[str, float]:
    """Seconds for which a worker at rest leaves the canary of a queue that beat does not feed, if they are too many.

    Raises DatabaseError, RedisError.
    """
    fed, now = scheduled_queues(), time.time()
    sent = sent_at([queue for queue in pauses.without_paused(table().queues) if queue not in fed])
    if not any(now - at > MAX_IDLE_SECONDS for at in sent.values()):
        return {}
    busy, started, ages = _busy_workers(), _started_at(), {}
    for queue, at in sent.items():
        worker = table().consumers[queue]
        since = max(at, started.get(worker, 0.0), cache.get(BUSY_KEY.format(worker), 0.0))
        if worker not in busy and now - since > MAX_IDLE_SECONDS:
            ages[queue] = now - since
    return ages


def _busy_workers() -> set[str]:
    """Workers that run a job, or any task for more than a second."""
    queues = {*Job.objects.filter(state=Job.State.RUNNING).values_list("queue", flat=True).distinct()}
    queues |= {run["queue"] for run in liveness.read_runs() if run["silent_seconds"] < liveness.SILENT_SECONDS}
    return {table().consumers[queue] for queue in queues if queue in table().consumers}


def _started_at() -> dict[str, float]:
    """When the first of the living workers of each kind started, by time.time()."""
    workers = sorted(liveness.read_workers(), key=lambda worker: -worker.started_at)
    return {worker.kind: worker.started_at for worker in workers if not worker.is_silent}


def _give_up_lost(queue: str, state: QueueState, started_at: float) -> None:
    """A flushed broker has lost it, or a worker had it that was killed: a Redis delivers that one minutes later."""
    at = cache.get(KEY.format(queue))
    if at is None or time.time() - at < LOST_SECONDS or state["ready"] != 0:
        return
    if state["unacked"] == 0 or started_at > at:
        cache.delete(KEY.format(queue))


def _send(queue: str) -> None:
    key = KEY.format(queue)
    if not cache.add(key, time.time(), TTL):
        return
    canary: dict[str, Any] = {"args": [queue], "queue": queue, "expires": TTL, "retry": False}
    try:
        with acquire_producer() as producer:
            current_app.send_task(table().canary_task, producer=producer, **canary)
    except (OperationalError, OSError):
        cache.delete(key)
