"""How long the last hour's runs waited in their queues."""

from collections.abc import Collection

from django.db import connection

P95_WAIT = """
    SELECT queue, percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds) FROM workers_taskrun
    WHERE ended_at > now() - interval '1 hour' AND queue = ANY(%s) AND wait_seconds IS NOT NULL GROUP BY queue"""


def p95_waits(queues: Collection[str]) -> dict[str, float]:
    """Seconds; 0 for a queue without a run."""
    with connection.cursor() as cursor:
        cursor.execute(P95_WAIT, [list(queues)])
        return dict.fromkeys(queues, 0.0) | dict(cursor.fetchall())
