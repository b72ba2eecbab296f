"""Practice 4: more at once is not always faster. Imports into one table go one at a time.

The trap: eight CSV imports into one table in eight processes wait for each other's rows and locks, and end later than
one after the other. A job that finds its table locked gives its worker slot back.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.utils import timezone

from workers.capacity.formation import initial_formation
from workers.capacity.throughput import measure_throughput
from workers.models import Job
from workers.practices import Finding, locks
from workers.queues import table

FIRST_PAUSE, LONGEST_PAUSE = 5, 60  # seconds
CLAIM_GRACE = timedelta(seconds=2)  # for which a job that found its table taken may still say "running"
CHAPTER = "See docs/4-concurrency.md."


@contextmanager
def one_writer(label: str) -> Iterator[locks.Lease]:
    """Locks a model's table, by its label. Raises locks.Busy if it is locked, RedisError if the server is away."""
    with locks.exclusive(f"import:{label}", lease=settings.JOB_LEASE) as lease:
        yield lease


def pause_before_try(tries: int) -> int:
    """Seconds until a job that found its table busy tries again."""
    pause: int = FIRST_PAUSE * 2 ** min(tries - 1, 10)
    return min(LONGEST_PAUSE, pause)


def check() -> list[CheckMessage]:
    types = initial_formation()
    found = {worker: types[worker.name].concurrency if worker.name in types else None for worker in table().workers}
    return [
        Error(
            f"Procfile: the {worker.name} worker runs {concurrency or 'any number of'} tasks at once.",
            hint=f"Write --concurrency {worker.concurrency}, or change config/queues.py with a measured reason."
            f" {CHAPTER}",
            id="practices.E401",
        )
        for worker, concurrency in found.items()
        if concurrency != worker.concurrency
    ]


def verify() -> Finding:
    """ok while no two jobs of a serialized queue work on one table."""
    serialized = {queue.name: queue.serialize_by for queue in table().queues.values() if queue.serialize_by}
    if not serialized:
        return Finding(True, "no queue is serialized")
    running = Job.objects.filter(queue__in=serialized, state=Job.State.RUNNING)
    try:
        working = running.filter(started_at__lt=timezone.now() - CLAIM_GRACE).only("queue", "arguments")
        counts = Counter((job.queue, str(job.arguments.get(serialized[job.queue]))) for job in working)
        last = measure_throughput(serialized)
    except DatabaseError as error:
        return Finding(None, "unknown", f"It could not be asked: {error}")
    at_work = ", ".join(f"{count} on {name}" for (_, name), count in sorted(counts.items())) or "none"
    speed = "none has ended yet"
    if last:
        speed = (
            f"the last {last.jobs} wrote {last.rows_per_second:,.0f} rows/s, {last.jobs_beside:.1f} jobs beside them"
        )
    crowded = [name for (_, name), count in counts.items() if count > 1]
    reason = f"Several jobs are at work on {', '.join(crowded)}, and slow each other down." if crowded else ""
    return Finding(not crowded, f"{', '.join(serialized)} at work: {at_work}; {speed}", reason)
