"""How fast the last jobs of some queues wrote their rows."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q
from django.db.models.functions import Coalesce, Now

from workers.models import Job
from workers.queues import table

LAST_JOBS = 5


@dataclass(frozen=True)
class Throughput:
    """jobs_beside: other jobs of the same workers that ran at a time, on average."""

    jobs: int
    rows_per_second: float
    jobs_beside: float


def measure_throughput(queues: Collection[str]) -> Throughput | None:
    """None if no job has ended."""
    done = Job.objects.filter(queue__in=queues, state=Job.State.DONE, started_at__isnull=False)
    jobs = list(done.order_by("-finished_at")[:LAST_JOBS])
    if not jobs:
        return None
    rows = sum(job.result.get("rows", 0) - job.result.get("rows_before", 0) for job in jobs)
    spans = [(job.started_at, job.finished_at) for job in jobs if job.started_at and job.finished_at]
    seconds = sum((end - start).total_seconds() for start, end in spans) or 1.0
    return Throughput(len(jobs), rows / seconds, _seconds_beside(jobs, queues) / seconds)


def _seconds_beside(jobs: list[Job], queues: Collection[str]) -> float:
    """A cancelled job does not count: it may have been waiting."""
    spans = {job.pk: (job.started_at, job.finished_at) for job in jobs if job.started_at and job.finished_at}
    workers = {table().consumers[queue] for queue in queues}
    ran = Job.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=min(start for start, _ in spans.values())),
        queue__in=[queue for queue, worker in table().consumers.items() if worker in workers],
        state__in=(Job.State.RUNNING, Job.State.DONE, Job.State.FAILED),
        started_at__isnull=False,
    )
    others = list(ran.values_list("pk", "started_at", Coalesce("finished_at", Now())))
    shared = (
        min(end, other_end) - max(start, other_start)
        for pk, (start, end) in spans.items()
        for other, other_start, other_end in others
        if other != pk
    )
    seconds: float = sum(max(0.0, span.total_seconds()) for span in shared)
    return seconds
