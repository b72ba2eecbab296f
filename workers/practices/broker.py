"""Practice 1: the broker's memory is watched, and no publish waits for it.

The trap: messages that nobody consumes pile up until RabbitMQ accepts no more, or a Redis evicts some. Then every
`delay()` hangs, or loses its task. So a queue has a limit, a publish has short timeouts
(workers/runtime/publishing.py), and its row is the outbox.
"""

import logging
from collections.abc import Collection, Iterator

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.template.defaultfilters import filesizeformat, pluralize

from workers.addresses import server_of
from workers.brokers import BrokerState, BrokerUnavailableError
from workers.brokers.connection import SHORT_TIMEOUTS, connect, is_amqp
from workers.brokers.declarations import INTERNAL_QUEUE, QUEUE_TYPES, declare_queues
from workers.brokers.state import read_broker_state
from workers.practices import Finding
from workers.queues import table
from workers.telemetry import canary_marks, pause_copy

log = logging.getLogger(__name__)

MAX_MEMORY_SHARE = 0.8
MAX_TIMEOUT_SECONDS = 5
AMQP_TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout")
REDIS_TIMEOUTS = ("socket_connect_timeout", "socket_timeout")


def prepare_queues() -> None:
    """Declares the table's queues with their limits. Only logs that the broker is away."""
    try:
        declare_queues()
    except BrokerUnavailableError as error:
        log.warning("queue_limits_not_set error=%r", error)


def memory_faults(broker: BrokerState) -> Iterator[str]:
    used, limit, eviction = broker["memory_bytes"], broker["memory_limit_bytes"], broker["eviction_policy"]
    for resource in broker["alarms"]:
        yield f"RabbitMQ has raised its {resource} alarm and takes no messages; jobs wait in their rows."
    if used and limit and used >= MAX_MEMORY_SHARE * limit:
        yield f"The broker uses more than {MAX_MEMORY_SHARE:.0%} of its memory. Add a worker for the longest queue."
    if eviction not in ("", "noeviction"):
        yield f"The broker may evict ({eviction}): full, it drops tasks. Set maxmemory-policy noeviction."


def queue_faults(broker: BrokerState, paused: Collection[str] = (), with_canary: Collection[str] = ()) -> Iterator[str]:
    """paused: queues that staff have paused, in which messages are to wait. with_canary: one message is no work."""
    for name, queue in sorted(broker["queues"].items()):
        if INTERNAL_QUEUE.fullmatch(name):
            continue
        if name not in table().queues:
            yield f"{name} is no queue of ours: {queue['ready']} messages that nobody will read. Delete it."
            continue
        limit, worker = table().queues[name].max_messages, table().consumers[name]
        if name not in paused and isinstance(limit, int) and (queue["ready"] or 0) >= limit:
            yield f"{name} is full with {queue['ready']} messages: new jobs wait in their rows. Add a {worker} worker."
        waiting = (queue["ready"] or 0) - (name in with_canary)
        if name not in paused and waiting > 0 and queue["consumers"] == 0:
            yield f"{name} has messages ({waiting}) and no consumer. Is the {worker} worker up?"
        elif is_amqp() and isinstance(limit, int) and queue["max_messages"] != limit:
            yield f"RabbitMQ does not limit {name} to {limit} messages: a worker sets that when it starts."


def check() -> list[CheckMessage]:
    return [*_check_servers(), *_check_timeouts(), *_check_limits(), *_check_queue_type()]


def _check_servers() -> Iterator[CheckMessage]:
    if server_of(settings.BROKER_URL) == server_of(settings.REDIS_URL):
        yield Error(
            "The broker and the cache are the same server.",
            hint="Point BROKER_URL and REDIS_URL at two: a cache must evict, and an evicted message is a lost job.",
            id="practices.E101",
        )


def _check_timeouts() -> Iterator[CheckMessage]:
    options = {**current_app.conf.broker_transport_options, **SHORT_TIMEOUTS}
    timeouts = AMQP_TIMEOUTS if is_amqp() else REDIS_TIMEOUTS
    missing = [name for name in timeouts if not 0 < (options.get(name) or 0) <= MAX_TIMEOUT_SECONDS]
    if is_amqp() and not options.get("confirm_publish"):
        missing.append("confirm_publish")
    for name in missing:
        yield Error(
            f"A publish goes out without {name}.",
            hint="Set it in SHORT_TIMEOUTS (workers/brokers/connection.py) or in broker_transport_options:"
            f" confirm_publish to True, a timeout to at most {MAX_TIMEOUT_SECONDS} s. Else a web request hangs, or a"
            " task is lost without a word.",
            id="practices.E102",
        )


def _check_limits() -> Iterator[CheckMessage]:
    for queue in table().queues.values():
        if not queue.max_messages:
            hint = "Give it max_messages=<number> in config/queues.py, or the reason why it needs none."
            yield Error(f"The queue {queue.name} has no limit.", hint=hint, id="practices.E103")


def _check_queue_type() -> Iterator[CheckMessage]:
    if settings.QUEUE_TYPE not in (("", *QUEUE_TYPES) if is_amqp() else ("",)):
        broker = "RabbitMQ" if is_amqp() else "a Redis"
        yield Error(
            f"QUEUE_TYPE is {settings.QUEUE_TYPE}, and {broker} has no such queues.",
            hint=f"Write {' or '.join(QUEUE_TYPES)} for RabbitMQ, and nothing for Redis or Valkey.",
            id="practices.E104",
        )


def _find_reason(error: BrokerUnavailableError) -> str:
    """Of a silent management API: a silent RabbitMQ."""
    try:
        with connect():
            return str(error)
    except BrokerUnavailableError as silence:
        return str(silence)


def verify() -> Finding:
    """ok while the broker has memory left, and each of its queues is in the table, limited and consumed."""
    try:
        broker = read_broker_state()
    except BrokerUnavailableError as error:
        return Finding(None, "unknown", _find_reason(error))
    # Asked only if a queue is at fault: the server of the locks may be silent.
    is_suspected = any(queue_faults(broker))
    paused = pause_copy.read_or_empty() if is_suspected else {}
    with_canary = canary_marks.sent_at(table().queues) if is_suspected else ()
    faults = [*memory_faults(broker), *queue_faults(broker, paused, with_canary)]
    used, limit = broker["memory_bytes"], broker["memory_limit_bytes"]
    if not faults and used is None:
        return Finding(None, "unknown", "RabbitMQ has counted its memory not once since it started.")
    of_limit = f" of {filesizeformat(limit)} ({used / limit:.0%})" if used and limit else ", no limit of its own"
    messages = sum((queue["ready"] or 0) + (queue["unacked"] or 0) for queue in broker["queues"].values())
    summary = f"{filesizeformat(used or 0)}{of_limit}, {messages} message{pluralize(messages)}"
    count = len(broker["queues"])
    summary = "; ".join([f"{summary} in {count} queue{pluralize(count)}", *pause_copy.describe(paused)])
    return Finding(not faults, summary, " ".join(faults), used)
