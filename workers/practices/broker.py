"""Practice 1: the broker's memory is watched, and nothing that we publish waits for it.

The trap: messages that nobody reads pile up until RabbitMQ is out of memory and takes no more tasks, or until a
Redis that may evict drops some. Every `delay()` then hangs, or says OK and loses the task. Here a publish has limits
and its row is the outbox, each queue has a length at which RabbitMQ refuses, and the doctor looks at what piles up.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.template.defaultfilters import filesizeformat, pluralize

from workers.brokers import NoAnswer, State, valkey
from workers.brokers.connection import LIMITS, connect, is_amqp
from workers.brokers.declarations import DEAD, QUEUE_TYPES, dead_letter_queue, declarations
from workers.brokers.rabbitmq import Management, management_url
from workers.practices import Finding
from workers.queues import table

log = logging.getLogger(__name__)
CHAPTER = "See docs/1-broker-memory.md."

FULL = 0.8  # share of its memory from which a broker is in danger
FRESH = 5  # seconds for which all processes share one answer
KEY = "broker_state"
AMQP_BOUNDS = ("connect_timeout", "read_timeout", "write_timeout")
REDIS_BOUNDS = ("socket_connect_timeout", "socket_timeout")
LONGEST = 5  # seconds for any of them
# Celery's own queues, and our dead letters: what lies there is not meant to be read by a worker of the table.
INTERNAL = re.compile(rf"{DEAD}|celery_delayed_\d+|celeryev\..*|.*celery\.pidbox")


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
    with connect() as connection:
        channel: Any = connection.default_channel
        return valkey.state(channel.client, table().consumers)


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
        with connect() as connection:
            for queue in (*declarations(amqp=True), dead_letter_queue()):
                queue(connection.default_channel).declare()
        _management().limit(
            {queue.name: queue.max_messages for queue in table().queues.values() if isinstance(queue.max_messages, int)}
        )
    except NoAnswer as error:
        log.warning("queue_limits_not_set error=%r", error)


def check() -> list[CheckMessage]:
    """E101: broker and cache are one server. E102: a publish could hang or get lost. E103: a queue without a limit.

    E104: a type of queue that the broker does not have.
    """
    messages: list[CheckMessage] = []
    if settings.QUEUE_TYPE not in (("", *QUEUE_TYPES) if is_amqp() else ("",)):
        of = "RabbitMQ" if is_amqp() else "a Redis"
        messages.append(
            Error(
                f"QUEUE_TYPE is {settings.QUEUE_TYPE}, and {of} has no such queues.",
                hint=f"Write {' or '.join(QUEUE_TYPES)} for RabbitMQ, and nothing for Redis or Valkey. {CHAPTER}",
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
            hint=f"Give it max_messages=<number> in config/queues.py, or the reason why it needs none. {CHAPTER}",
            id="practices.E103",
        )
        for queue in table().queues.values()
        if not queue.max_messages
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
        if name not in table().queues:
            yield f"{name} is no queue of ours: {queue['waiting']} messages that nobody will read."
        elif queue["waiting"] and queue["consumers"] == 0:
            worker = table().consumers[name]
            yield f"{queue['waiting']} messages in {name}, and nobody reads it. Is the {worker} worker up?"
        elif is_amqp() and isinstance(limit := table().queues[name].max_messages, int) and queue["limit"] != limit:
            yield f"RabbitMQ does not limit {name} to {limit} messages: a worker sets that when it starts."
