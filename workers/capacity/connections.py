"""The most connections that the formation opens to each server, and what the servers' plans allow.

tests/test_count_connections.py compares the counts with real processes.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from workers.brokers.connection import is_amqp
from workers.capacity.formation import formation
from workers.deadline import MAX_PARALLEL
from workers.queues import table

SERVERS = ("database", "cache", "locks", "broker")
# In a web process: the measurements of /operations/, of which two ask the broker, and a probe's, whose last may hang.
MEASUREMENTS = Counter(database=MAX_PARALLEL + 2, broker=2 + 1)
# In beat: the threads of workers/alarms/monitor.py, and how many of its measurements run at a time.
MONITOR_THREADS, MONITOR_MEASUREMENTS = 4, 3


@dataclass(frozen=True)
class ProcessConnections:
    """counts: by server, of all dynos together."""

    name: str
    quantity: int
    counts: Counter[str]


@dataclass(frozen=True)
class ConnectionBudget:
    """limit: None if unknown."""

    server: str
    opened: int
    limit: int | None

    @property
    def is_over(self) -> bool:
        return self.limit is not None and self.opened > self.limit


def connections_by_process() -> list[ProcessConnections]:
    """Raises InvalidFormation."""
    running = [each for each in formation().values() if each.quantity]
    rows = [
        ProcessConnections(
            each.name, each.quantity, _multiply(each.quantity, _connections_of(each.name, each.concurrency))
        )
        for each in running
    ]
    # The others run on while the release step migrates, or while a shell is open.
    return [*rows, ProcessConnections("release", 1, Counter(database=1))]


def connections_table() -> dict[str, Any]:
    """servers: each budget, with its counts in the order of `rows`. Raises InvalidFormation."""
    rows = connections_by_process()
    return {
        "rows": rows,
        "servers": [(each, [row.counts[each.server] for row in rows]) for each in connection_budgets()],
    }


def connection_budgets() -> list[ConnectionBudget]:
    """Raises InvalidFormation."""
    total = sum((row.counts for row in connections_by_process()), Counter[str]())
    return [ConnectionBudget(server, total[server], settings.CONNECTIONS[server]) for server in SERVERS]


def _connections_of(name: str, concurrency: int | None) -> Counter[str]:
    if name == "web":
        return _multiply(settings.WEB_CONCURRENCY, _web_process())
    if name == "beat":
        # The main thread and the thread of leader_callbacks: both publish, and count messages. And the monitor: its
        # threads, and its measurements, of which two ask a Redis broker. For RabbitMQ, one of all asks at a time.
        held = Counter(database=2 + MONITOR_THREADS + MONITOR_MEASUREMENTS, cache=2, locks=2)
        return held + _broker_connections(publishers=2, readers=2 if is_amqp() else 4)
    return _worker(concurrency or 1, _broker_tasks(name))


def _broker_tasks(worker: str) -> int:
    """Tasks that open a connection of their own to the broker. One run of each happens at a time."""
    queues = [table().routes[task]["queue"] for task in table().broker_tasks if task in table().routes]
    return sum(table().consumers[queue] == worker for queue in queues)


def _web_process() -> Counter[str]:
    """A connection to the database stays with its thread (CONN_MAX_AGE)."""
    held = Counter(database=settings.WEB_THREADS, cache=settings.REDIS_POOL, locks=settings.REDIS_POOL)
    measurements = Counter(database=MEASUREMENTS["database"])
    return held + measurements + _broker_connections(publishers=settings.BROKER_POOL, readers=MEASUREMENTS["broker"])


def _worker(children: int, readers: int) -> Counter[str]:
    """The main process consumes messages, clears marks, and ends the locks and the progress of a dead child."""
    child = Counter(database=1, cache=settings.REDIS_POOL, locks=settings.REDIS_POOL)
    consumer = Counter(broker=1 if is_amqp() else 3)
    publishing = _broker_connections(publishers=children, readers=readers)
    return _multiply(children, child) + Counter(cache=1, locks=1) + consumer + publishing


def _broker_connections(*, publishers: int, readers: int) -> Counter[str]:
    """kombu opens one to RabbitMQ and two to Redis (docs/facts/celery.md#connections-per-worker)."""
    return Counter(broker=(publishers + readers) * (1 if is_amqp() else 2))


def _multiply(count: int, counts: Counter[str]) -> Counter[str]:
    return Counter({server: count * each for server, each in counts.items()})
