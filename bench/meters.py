"""What servers and processes used between two moments, by their own counters."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields

import psutil
from django.conf import settings
from django.db import connection
from redis import from_url

UNCOUNTED = "/* the bench's own */"  # in a statement: it is not counted
STATEMENTS = f"""
    SELECT coalesce(sum(calls), 0)::float, coalesce(sum(total_plan_time + total_exec_time), 0)::float,
        coalesce(sum(wal_bytes), 0)::float
    FROM pg_stat_statements WHERE toplevel AND query NOT LIKE '%%the bench''s own%%' {UNCOUNTED}"""  # noqa: S608


@dataclass(frozen=True)
class Usage:
    """statements: of SQL, BEGIN and COMMIT too. wal_bytes: of the statements; autovacuum writes more.

    sql_ms: planning and execution. cache: the server of cache and locks. The bytes of cache and broker count both ways.
    cpu_seconds: of the given processes.
    """

    statements: float
    sql_ms: float
    wal_bytes: float
    cache_commands: float
    cache_bytes: float
    broker_commands: float
    broker_bytes: float
    cpu_seconds: float
    database_cpu_seconds: float

    def __sub__(self, before: "Usage") -> "Usage":
        return Usage(*(getattr(self, each.name) - getattr(before, each.name) for each in fields(self)))

    def __truediv__(self, count: float) -> "Usage":
        return Usage(*(getattr(self, each.name) / count for each in fields(self)))


def usage_since(before: Usage, count: int, *pids: int) -> Usage:
    """The usage of each of `count` things since `before`, without that of the measurement itself."""
    now = read_usage(*pids)
    measurement = read_usage(*pids) - now
    return (now - before - measurement) / count


def read_usage(*pids: int) -> Usage:
    """Everything so far. pids: processes, whose children count too."""
    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS)
        statements, sql_ms, wal_bytes = cursor.fetchone()
    cache, broker = redis_traffic(settings.REDIS_URL), redis_traffic(settings.BROKER_URL)
    return Usage(statements, sql_ms, wal_bytes, *cache, *broker, cpu_seconds(pids), database_cpu_seconds())


def redis_traffic(url: str) -> tuple[float, float]:
    """Commands that a server has run, and bytes that it has received and sent."""
    with from_url(url) as server:
        commands = sum(each["calls"] for each in server.info("commandstats").values())
        stats = server.info("stats")
    return float(commands), float(stats["total_net_input_bytes"] + stats["total_net_output_bytes"])


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of the processes and their children, ended ones too."""
    total = 0.0
    for pid in pids:
        main = psutil.Process(pid)
        for process in (*main.children(recursive=True), main):
            with suppress(psutil.NoSuchProcess):  # a child that has just ended: the time of its parent has its own
                total += sum(process.cpu_times()[:4])
    return total


def database_cpu_seconds() -> float:
    """Of all of PostgreSQL's processes."""
    connection.ensure_connection()
    server = psutil.Process(connection.connection.info.backend_pid).parent()
    return cpu_seconds([server.pid]) if server else 0.0
