"""How many connections the formation opens to each server, at most, against what the servers' plans allow.

A plan refuses one connection too many, and then a page or a task fails. What a process opens is bounded by its threads
and pools, so it is counted before a deploy: `tests/test_count_connections.py` holds the counts against real processes.
Plans: https://devcenter.heroku.com/articles/heroku-postgres-plans, https://www.cloudamqp.com/plans.html; the limits of
yours stand in DATABASE_CONNECTIONS, REDIS_CONNECTIONS, LOCKS_CONNECTIONS and BROKER_CONNECTIONS.
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
# In a web process: those of /practices/, of which two ask the broker, and of a probe whose last one may still hang.
QUESTIONS = Counter(database=MAX_PARALLEL + 2, broker=2 + 1)


@dataclass(frozen=True)
class Opened:
    """What the dynos of one process type open at most, by server."""

    name: str
    quantity: int
    counts: Counter[str]


@dataclass(frozen=True)
class Budget:
    """What all of them open at most, and what a server's plan allows; None if nobody said."""

    server: str
    opened: int
    limit: int | None

    @property
    def is_over(self) -> bool:
        """Whether somebody will be refused."""
        return self.limit is not None and self.opened > self.limit


def by_process() -> list[Opened]:
    """Every process type of the formation that runs. Raises formation.InvalidFormation."""
    running = [each for each in formation().values() if each.quantity]
    rows = [
        Opened(each.name, each.quantity, _times(each.quantity, _of(each.name, each.concurrency))) for each in running
    ]
    # While the release step migrates, or somebody has a shell open, the others go on.
    return [*rows, Opened("release", 1, Counter(database=1))]


def connections_table() -> dict[str, Any]:
    """Both as a page shows them: for each server its counts by process type. Raises formation.InvalidFormation."""
    rows = by_process()
    return {"rows": rows, "servers": [(each, [row.counts[each.server] for row in rows]) for each in budgets()]}


def budgets() -> list[Budget]:
    """One for each server. Raises formation.InvalidFormation."""
    total = sum((row.counts for row in by_process()), Counter[str]())
    return [Budget(server, total[server], settings.CONNECTIONS[server]) for server in SERVERS]


def _of(name: str, concurrency: int | None) -> Counter[str]:
    """What one dyno opens."""
    if name == "web":
        return _times(settings.WEB_CONCURRENCY, _web_process())
    if name == "beat":
        # Its main thread and that of its callbacks; both look into queues.
        return Counter(database=2, cache=2, locks=2) + _broker(publishers=2, questions=2)
    return _worker(concurrency or 1, _broker_tasks(name))


def _broker_tasks(worker: str) -> int:
    """Tasks of a worker that open a connection of their own to the broker. One run of each happens at a time."""
    return sum(table().consumers[table().queue_of(task)] == worker for task in table().broker_tasks)


def _web_process() -> Counter[str]:
    """A connection to the database stays with its thread (CONN_MAX_AGE); those to the others are its pools'."""
    held = Counter(database=settings.WEB_THREADS, cache=settings.REDIS_POOL, locks=settings.REDIS_POOL)
    questions = Counter(database=QUESTIONS["database"])
    return held + questions + _broker(publishers=settings.BROKER_POOL, questions=QUESTIONS["broker"])


def _worker(children: int, questions: int) -> Counter[str]:
    """A child: the task's thread, and those that read ahead, renew a lock and carry notes, as far as the pools go.

    The main process only takes messages and clears marks, which lie with the locks.
    """
    child = Counter(database=1, cache=settings.REDIS_POOL, locks=settings.REDIS_POOL)
    consumer = Counter(broker=1 if is_amqp() else 3)
    return _times(children, child) + Counter(locks=1) + consumer + _broker(publishers=children, questions=questions)


def _broker(*, publishers: int, questions: int) -> Counter[str]:
    """To RabbitMQ each has one; kombu takes two for a Redis (docs/facts/celery.md#connections-per-worker)."""
    return Counter(broker=(publishers + questions) * (1 if is_amqp() else 2))


def _times(count: int, counts: Counter[str]) -> Counter[str]:
    return Counter({server: count * each for server, each in counts.items()})
