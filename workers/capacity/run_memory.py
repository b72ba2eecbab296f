"""The memory that a run may use on its worker's dyno, and that runs did use."""

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from workers.capacity.formation import formation
from workers.capacity.prices import price_list
from workers.queues import Worker

MB = 1024**2
# Bytes by size of dyno, the cheapest first.
DYNO_BYTES = {name: size.memory for name, size in sorted(price_list().sizes.items(), key=lambda item: item[1].price)}
MAIN_PROCESS_BYTES = 100 * MB  # of a worker's main process, which runs no task: 83 MB measured
PEAKS = """
    SELECT task, percentile_disc(%(share)s) WITHIN GROUP (ORDER BY peak) FROM (
        SELECT task, peak_p95 AS peak FROM workers_taskhour WHERE hour >= %(since)s
        UNION ALL
        SELECT task, percentile_disc(0.95) WITHIN GROUP (ORDER BY peak_bytes) FROM workers_taskrun
        WHERE ended_at > now() - interval '1 hour' GROUP BY task
    ) AS hours WHERE peak IS NOT NULL GROUP BY task"""


def bytes_per_run(worker: Worker) -> int:
    """Negative for an unknown size of dyno. Raises InvalidFormation."""
    process_type = formation().get(worker.name)
    dyno_bytes = DYNO_BYTES.get(process_type.size if process_type else "", 0)
    return (dyno_bytes - MAIN_PROCESS_BYTES) // worker.concurrency


def peak_bytes_by_task(window: timedelta, *, share: float) -> dict[str, int]:
    """The hourly p95 that `share` of a task's hours do not exceed."""
    with connection.cursor() as cursor:
        cursor.execute(PEAKS, {"since": timezone.now() - window, "share": share})
        return dict(cursor.fetchall())
