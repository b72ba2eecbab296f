"""Practice 8: how many messages wait in each queue, for how long, and who consumes them.

The trap: ten videos are an hour and ten mails a second, and no broker tells the age of a message
(docs/facts/servers.md#age-of-a-message). The rows of jobs do. A recurring task has no row, so its queue gets a canary:
one small message at a time.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from celery import current_app
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.db.models import Min
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.brokers import BrokerUnavailableError
from workers.brokers.producers import acquire_producer
from workers.brokers.state import read_queue_states
from workers.practices import Finding
from workers.queues import table
from workers.schedule import scheduled_queues
from workers.telemetry import liveness, pauses
from workers.telemetry.queue_samples import last_sample_at, store_samples
from workers.telemetry.waits import due_jobs

CANARY_KEY = "canary_{}"
CANARY_TTL = 600  # seconds, after which it is given up and the next one sent
SAMPLE = "workers.practices.backlog.sample"
MAX_SAMPLE_AGE_SECONDS = 120
CHAPTER = "See docs/8-backlog.md."


def oldest_waits() -> dict[str, float]:
    """Seconds that the oldest message of each queue has waited, without empty queues. Raises DatabaseError."""
    now = timezone.now()
    oldest = due_jobs().values_list("queue").annotate(oldest=Min("since"))
    waits = {queue: (now - moment).total_seconds() for queue, moment in oldest}
    for queue in pauses.without_paused(scheduled_queues()):
        if sent_at := cache.get(CANARY_KEY.format(queue)):
            waits[queue] = max(waits.get(queue, 0.0), time.time() - sent_at)
    return waits


def send_canaries() -> None:
    """Skips a queue whose last canary is unanswered. Sends none while the cache is away. Raises DatabaseError."""
    for queue in pauses.without_paused(scheduled_queues()):
        key = CANARY_KEY.format(queue)
        if cache.add(key, time.time(), CANARY_TTL):
            canary: dict[str, Any] = {"args": [queue], "queue": queue, "expires": CANARY_TTL, "retry": False}
            try:
                with acquire_producer() as producer:
                    current_app.send_task(table().canary_task, producer=producer, **canary)
            except (OperationalError, OSError):
                cache.delete(key)


def answer_canary(queue: str) -> None:
    """The table's canary_task must call it."""
    cache.delete(CANARY_KEY.format(queue))


def sample() -> None:
    """Raises DatabaseError."""
    store_samples(oldest_waits())
    send_canaries()


def check() -> list[CheckMessage]:
    return [*_check_targets(), *_check_sampling()]


def _check_targets() -> Iterator[CheckMessage]:
    hint = f"Give it target_seconds=<seconds of waiting that its users accept> in config/queues.py. {CHAPTER}"
    for queue in table().queues.values():
        if queue.target_seconds <= 0:
            yield Error(f"The queue {queue.name} has no target.", hint=hint, id="practices.E801")


def _check_sampling() -> Iterator[CheckMessage]:
    if SAMPLE not in current_app.conf.leader_callbacks:
        where = f"Name {SAMPLE} among the leader_callbacks of config/celery.py."
        hint = f"{where} A recurring task would wait in a clogged queue itself. {CHAPTER}"
        yield Error("Nobody samples the queues.", hint=hint, id="practices.E802")


def verify() -> Finding:
    """ok while no queue is late unless it is paused, each has a living worker, no run hangs, and samples are taken."""
    try:
        paused, sampled_at = pauses.paused_queues(), last_sample_at()
        waits = {queue: seconds for queue, seconds in oldest_waits().items() if queue not in paused}
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    faults = [
        f"The oldest in {name} has waited {waits[name]:.0f} s of {queue.target_seconds} s: add a"
        f" {table().consumers[name]} worker, unless its queue is full or its broker away (practice 1)."
        for name, queue in table().queues.items()
        if waits.get(name, 0) > queue.target_seconds
    ]
    if sampled_at is None or timezone.now() - sampled_at > timedelta(seconds=MAX_SAMPLE_AGE_SECONDS):
        faults.append(f"Nobody has sampled the queues in the last {MAX_SAMPLE_AGE_SECONDS} s. Is beat up?")
    oldest = max(waits, key=lambda name: waits[name], default="")
    age = waits.get(oldest, 0.0)
    summary = f"the oldest waits {age:.0f} s, in {oldest}" if oldest else "nothing waits"
    summary = pauses.with_pauses(summary, paused.values())
    try:
        states = read_queue_states()  # first: a worker gives no sign of life while its broker is away
        faults += liveness.faults({name: pause.paused_at for name, pause in paused.items()})
    except (BrokerUnavailableError, RedisError) as error:
        return Finding(False if faults else None, summary, " ".join([*faults, str(error)]), age)
    ready = sum(state["ready"] or 0 for state in states.values())
    unread = [name for name, state in states.items() if state["consumers"] == 0 and name not in paused]
    faults += [f"Nobody reads {name}: start a {table().consumers[name]} worker." for name in unread]
    return Finding(not faults, f"messages waiting: {ready}; {summary}", " ".join(faults), age)
