"""Practice 4: more at once is not always faster. Imports into one table go one at a time.

The trap: eight CSV imports into one table on eight processes wait for each other's rows, locks and index pages, and end
later than one after the other. So a table has one writer across all workers and machines, by lock; a job that finds
it busy gives its worker slot back and comes again after a growing pause, and its page says so.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from workers.capacity.formation import of_a_new_app
from workers.models import Job
from workers.practices import Finding, locks
from workers.queues import table

FIRST_PAUSE, LONGEST_PAUSE = 5, 60  # seconds
LAST = 5  # ended imports that verify() looks at
CLAIMED = timedelta(seconds=2)  # for which a job that found its table taken may still say "running"
CHAPTER = "See docs/4-concurrency.md."


@contextmanager
def one_writer(table: str) -> Iterator[locks.Lease]:
    """Holds the right to write into a table (a model's label) while the block runs.

    Raises locks.Busy while another import writes, RedisError if the server of the locks is away.
    """
    with locks.exclusive(f"import:{table}", lease=settings.JOB_LEASE) as lease:
        yield lease


def pause_before_try(tries: int) -> int:
    """Seconds until an import that found its table busy comes again. It doubles with each try."""
    pause: int = FIRST_PAUSE * 2 ** min(tries - 1, 10)
    return min(LONGEST_PAUSE, pause)


def check() -> list[CheckMessage]:
    """E401: a worker's pool differs from the table, so that imports run side by side or mails one by one."""
    types = of_a_new_app()
    found = {worker: types[worker.name].concurrency if worker.name in types else None for worker in table().workers}
    return [
        Error(
            f"Procfile: the {worker.name} worker runs {concurrency or 'any number of'} tasks at once.",
            hint=f"Write --concurrency {worker.concurrency}, or change the table in queues.py with a measured reason."
            f" {CHAPTER}",
            id="practices.E401",
        )
        for worker, concurrency in found.items()
        if concurrency != worker.concurrency
    ]


def verify() -> Finding:
    """Holds while no table has two imports at work. The figure: how fast the last ones were, in what company."""
    imports = Job.objects.filter(queue="imports")
    try:
        working = imports.filter(state=Job.State.RUNNING, started_at__lt=timezone.now() - CLAIMED).only("arguments")
        tables = Counter(str(job.arguments.get("table")) for job in working)
        ended = list(imports.filter(state=Job.State.DONE, started_at__isnull=False).order_by("-finished_at")[:LAST])
        speed = f"the last {len(ended)} wrote {rows_a_second(ended):,.0f} rows/s, {beside(ended):.1f} jobs beside them"
    except DatabaseError as error:
        return Finding(None, "unknown", f"It could not be asked: {error}")
    at_work = ", ".join(f"{count} on {table}" for table, count in sorted(tables.items())) or "none"
    figure = f"imports at work: {at_work}; {speed if ended else 'none has ended yet'}"
    crowded = [table for table, count in tables.items() if count > 1]
    if crowded:
        return Finding(False, figure, f"Several imports are at work on {', '.join(crowded)}, and slow each other down.")
    return Finding(True, figure)


def rows_a_second(ended: list[Job]) -> float:
    """Rows per second of some ended imports, all in all. Each counts with its last attempt: its rows, its seconds."""
    rows: int = sum(job.result.get("rows", 0) - job.result.get("rows_before", 0) for job in ended)
    return rows / _seconds(ended)


def beside(ended: list[Job]) -> float:
    """How many other jobs of the same workers ran at a time, on average, while these did. Raises DatabaseError.

    Each job counts with its last attempt, and a cancelled one not at all: it may have been waiting.
    """
    spans = {job.pk: (job.started_at, job.finished_at) for job in ended if job.started_at and job.finished_at}
    (together,) = (worker.queues for worker in table().workers if table().queues["imports"] in worker.queues)
    ran = Job.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=min((start for start, _ in spans.values()), default=timezone.now())),
        queue__in=[queue.name for queue in together],
        state__in=(Job.State.RUNNING, Job.State.DONE, Job.State.FAILED),
        started_at__isnull=False,
    )
    others = list(ran.values_list("pk", "started_at", Coalesce("finished_at", Now())))
    shared = (
        min(end, others_end) - max(start, others_start)
        for pk, (start, end) in spans.items()
        for other, others_start, others_end in others
        if other != pk
    )
    seconds: float = sum(max(0.0, span.total_seconds()) for span in shared)
    return seconds / _seconds(ended)


def _seconds(ended: list[Job]) -> float:
    spans = (job.finished_at - job.started_at for job in ended if job.finished_at and job.started_at)
    return sum(span.total_seconds() for span in spans) or 1.0
