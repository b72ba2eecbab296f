"""Practice 1: the broker's memory is watched, and nothing that we publish waits for it.

The trap: messages that nobody reads pile up until RabbitMQ is out of memory and takes no more tasks, or until a
Redis that may evict drops some. Every `delay()` then hangs, or says OK and loses the task. Here a publish has limits
and its row is the outbox, each queue has a length at which RabbitMQ refuses, and the doctor looks at what piles up.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.template.defaultfilters import filesizeformat, pluralize
from kombu import Connection
from kombu import Queue as Declaration
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.brokers import NoAnswer, State, valkey
from workers.brokers.rabbitmq import Management, management_url
from workers.practices import Finding
from workers.practices.queues import DEAD, QUEUES, TYPES, WORKERS, declarations, queue_type

log = logging.getLogger(__name__)
CHAPTER = "See docs/1-broker-memory.md."

FULL = 0.8  # share of its memory from which a broker is in danger
FRESH = 5  # seconds for which all processes share one answer
KEY = "broker_state"
# What a publish, or a question, may cost in seconds; a retry is the sweep's (CELERY-FACTS 3).
LIMITS = {
    # Redis and Valkey.
    "socket_connect_timeout": 0.5,
    "socket_timeout": 1,
    # RabbitMQ.
    "connect_timeout": 0.5,
    "read_timeout": 0.5,
    "write_timeout": 0.5,
    # Both: kombu's own retries while it connects.
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
AMQP_BOUNDS = ("connect_timeout", "read_timeout", "write_timeout")
REDIS_BOUNDS = ("socket_connect_timeout", "socket_timeout")
LONGEST = 5  # seconds for any of them
READERS = {queue.name: worker.name for worker in WORKERS for queue in worker.queues}
# Celery's own queues, and our dead letters: what lies there is not meant to be read by a worker of the table.
INTERNAL = re.compile(rf"{DEAD}|celery_delayed_\d+|celeryev\..*|.*celery\.pidbox")


def is_amqp() -> bool:
    """Whether the broker is RabbitMQ."""
    return bool(settings.BROKER_URL.startswith("amqp"))


@contextmanager
def asking() -> Iterator[Connection]:
    """A connection to ask the broker something, within LIMITS. Raises NoAnswer, from the block too."""
    try:
        with current_app.connection_for_read(settings.BROKER_URL, connect_timeout=0.5, transport_options=LIMITS) as it:
            it.ensure_connection(max_retries=0)
            yield it
    except (OperationalError, OSError, AMQPError, RedisError) as error:
        raise NoAnswer(f"The broker did not answer: {error}") from error


def state() -> State:
    """What the broker says, at most FRESH seconds old (RabbitMQ adds some of its own). Raises NoAnswer."""
    kept: State | None = cache.get(KEY)
    if kept is None:
        kept = _ask_state()
        cache.set(KEY, kept, FRESH)
    return kept


def _ask_state() -> State:
    if is_amqp():
        return _management().state()
    with asking() as connection:
        channel: Any = connection.default_channel
        return valkey.state(channel.client, READERS)


def _management() -> Management:
    url = settings.BROKER_MANAGEMENT_URL or management_url(settings.BROKER_URL)
    return Management(url, settings.BROKER_URL, settings.BROKER_CA)


def prepare() -> None:
    """Declares RabbitMQ's queues, with their limits and a place for dead letters. Each worker calls it when it starts.

    Redis and Valkey have neither: a list has no limit, and an expired task is gone once a worker drops it.
    """
    if not is_amqp():
        return
    try:
        dead = Declaration(DEAD, queue_arguments={"x-queue-type": queue_type(), "x-max-length": 10_000})
        with asking() as connection:
            for queue in (*declarations(amqp=True), dead):
                queue(connection.default_channel).declare()
        _management().limit({queue.name: queue.limit for queue in QUEUES.values() if isinstance(queue.limit, int)})
    except NoAnswer as error:
        log.warning("the queues have no limit yet: %s", error)


def check() -> list[CheckMessage]:
    """E101: broker and cache are one server. E102: a publish could hang or get lost. E103: a queue without a limit.

    E104: a type of queue that the broker does not have.
    """
    messages: list[CheckMessage] = []
    if settings.QUEUE_TYPE not in (("", *TYPES) if is_amqp() else ("",)):
        of = "RabbitMQ" if is_amqp() else "a Redis"
        messages.append(
            Error(
                f"QUEUE_TYPE is {settings.QUEUE_TYPE}, and {of} has no such queues.",
                hint=f"Write {' or '.join(TYPES)} for RabbitMQ, and nothing for Redis or Valkey. {CHAPTER}",
                id="practices.E104",
            )
        )
    if _server(settings.BROKER_URL) == _server(settings.REDIS_URL):
        messages.append(
            Error(
                "The broker and the cache are the same server.",
                hint="Point BROKER_URL and REDIS_URL at two: a cache must evict, and an evicted message is a lost job."
                f" {CHAPTER}",
                id="practices.E101",
            )
        )
    options = {**current_app.conf.broker_transport_options, **LIMITS}
    bounds = AMQP_BOUNDS if is_amqp() else REDIS_BOUNDS
    loose = [name for name in bounds if not 0 < (options.get(name) or 0) <= LONGEST]
    if is_amqp() and not options.get("confirm_publish"):
        loose.append("confirm_publish")
    messages += [
        Error(
            f"A publish goes out without {name}.",
            hint="Set it in broker.LIMITS or in broker_transport_options: confirm_publish to True, a timeout to at most"
            f" {LONGEST} s. Else a web request hangs, or a task is lost without a word. {CHAPTER}",
            id="practices.E102",
        )
        for name in loose
    ]
    return messages + [
        Error(
            f"The queue {queue.name} has no limit.",
            hint=f"Give it limit=<messages> in workers/practices/queues.py, or the reason why it needs none. {CHAPTER}",
            id="practices.E103",
        )
        for queue in QUEUES.values()
        if not queue.limit
    ]


def _server(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or {"amqp": 5672, "amqps": 5671}.get(parts.scheme, 6379)


def verify() -> Finding:
    """Holds while the broker has memory left, takes messages, and each of its queues is ours and read."""
    try:
        now = state()
    except NoAnswer as error:
        return Finding(None, "unknown", str(error))
    faults = [*_memory_faults(now), *_queue_faults(now)]
    used, limit = now["used"], now["limit"]
    of = f" of {filesizeformat(limit)} ({used / limit:.0%})" if used and limit else ", no limit of its own"
    total = sum((queue["waiting"] or 0) + (queue["unacked"] or 0) for queue in now["queues"].values())
    figure = f"{filesizeformat(used or 0)}{of}, {total} message{pluralize(total)} in {len(now['queues'])} queues"
    if not faults and used is None:
        return Finding(None, "unknown", "RabbitMQ has counted its memory not once since it started.")
    return Finding(not faults, figure, " ".join(faults))


def _memory_faults(now: State) -> Iterator[str]:
    for resource in now["alarms"]:
        yield f"RabbitMQ has raised its {resource} alarm and takes no messages; jobs wait in their rows."
    if now["used"] and now["limit"] and now["used"] >= FULL * now["limit"]:
        yield f"The broker uses more than {FULL:.0%} of its memory."
    if now["eviction"] not in ("", "noeviction"):
        yield f"The broker may evict ({now['eviction']}): full, it drops tasks. Set maxmemory-policy noeviction."


def _queue_faults(now: State) -> Iterator[str]:
    for name, queue in sorted(now["queues"].items()):
        if INTERNAL.fullmatch(name):
            continue
        if name not in QUEUES:
            yield f"{name} is no queue of ours: {queue['waiting']} messages that nobody will read."
        elif queue["waiting"] and queue["consumers"] == 0:
            yield f"{queue['waiting']} messages in {name}, and nobody reads it. Is the {READERS[name]} worker up?"
        elif is_amqp() and isinstance(limit := QUEUES[name].limit, int) and queue["limit"] != limit:
            yield f"RabbitMQ does not limit {name} to {limit} messages: a worker sets that when it starts."
