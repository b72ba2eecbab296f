"""What servers and processes did meanwhile: counted by themselves, read before and after."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import psutil
from django.conf import settings
from django.db import connection
from redis import from_url

UNCOUNTED = "/* the bench's own */"
SPENT = f"""
    SELECT coalesce(sum(calls), 0)::float, coalesce(sum(total_plan_time + total_exec_time), 0)::float,
        coalesce(sum(wal_bytes), 0)::float
    FROM pg_stat_statements WHERE toplevel AND query NOT LIKE '%%the bench''s own%%' {UNCOUNTED}"""  # noqa: S608


@dataclass(frozen=True)
class Spent:
    """statements: of SQL, BEGIN and COMMIT too. sql: ms of planning and executing. wal: bytes that the statements
    wrote to the log; autovacuum writes more.

    cache, broker: commands, of the cache's and locks' server and of the broker's; cache_bytes, broker_bytes: both ways.
    cpu: seconds of the processes asked about. database: CPU seconds of PostgreSQL.
    """

    statements: float
    sql: float
    wal: float
    cache: float
    cache_bytes: float
    broker: float
    broker_bytes: float
    cpu: float
    database: float

    def __sub__(self, before: "Spent") -> "Spent":
        return Spent(*(getattr(self, each.name) - getattr(before, each.name) for each in fields(self)))

    def __truediv__(self, times: float) -> "Spent":
        return Spent(*(getattr(self, each.name) / times for each in fields(self)))


def spent_since(before: Spent, times: int, *processes: int) -> Spent:
    """What each of so many times has cost since `before`, without what it costs to ask."""
    now = spent(*processes)
    asking = spent(*processes) - now
    return (now - before - asking) / times


def spent(*processes: int) -> Spent:
    """Everything so far; processes: pids, whose children count too."""
    with connection.cursor() as cursor:
        cursor.execute(SPENT)
        statements, sql, wal = cursor.fetchone()
    cache, broker = redis(settings.REDIS_URL), redis(settings.BROKER_URL)
    return Spent(statements, sql, wal, *cache, *broker, cpu(processes), database_cpu())


def redis(url: str) -> tuple[float, float]:
    """Commands that a server has run, and bytes that came and went."""
    with from_url(url) as server:
        commands = sum(each["calls"] for each in server.info("commandstats").values())
        stats = server.info("stats")
    return float(commands), float(stats["total_net_input_bytes"] + stats["total_net_output_bytes"])


def cpu(processes: Iterable[int]) -> float:
    """Seconds, of ended children too."""
    total = 0.0
    for pid in processes:
        main = psutil.Process(pid)
        total += sum(main.cpu_times()[:4]) + sum(sum(child.cpu_times()[:4]) for child in main.children(recursive=True))
    return total


def database_cpu() -> float:
    """Of all of PostgreSQL's processes."""
    connection.ensure_connection()
    server = psutil.Process(connection.connection.info.backend_pid).parent()
    return cpu([server.pid]) if server else 0.0
