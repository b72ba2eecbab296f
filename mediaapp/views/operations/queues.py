"""A queue: what waits, what comes and goes, now and over time, and its jobs."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.history.periods import PERIODS, chosen_period
from mediaapp.history.queues import queue_charts, read_now
from mediaapp.operations.parts import read_parts
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.models import Job, Pause
from workers.queues import table
from workers.telemetry.waits import due_jobs

SHOWN_JOBS = 10  # of each state; the search has all of them
FAILED_WITHIN = timedelta(days=1)
OF_A_JOB = ("owner", "upload", "report")


@dataclass(frozen=True)
class QueueJobs:
    """The newest of those that run or failed, and the oldest of those that wait: not more than SHOWN_JOBS of each."""

    running: list[Job]
    waiting: list[Job]
    failed: list[Job]
    failed_count: int


@never_cache
@require_safe
@staff_required
def show_queue(request: AuthenticatedRequest, name: str) -> HttpResponse:
    queue = table().queues.get(name)
    if queue is None:
        raise Http404
    period = chosen_period(request)
    parts = read_parts(
        {
            "now": lambda: read_now(queue),
            "charts": lambda: queue_charts(queue, period),
            "jobs": lambda: read_jobs(name),
            "pause": lambda: Pause.objects.filter(kind=Pause.Kind.QUEUE, name=name).first(),
        }
    )
    context = {"queue": queue, "worker": table().consumers[name], "period": period, "periods": PERIODS.values()}
    return render(request, "operations/queue.html", context | parts)


def read_jobs(queue: str) -> QueueJobs:
    jobs = Job.objects.filter(queue=queue).select_related(*OF_A_JOB)
    failed = jobs.filter(state=Job.State.FAILED, finished_at__gte=timezone.now() - FAILED_WITHIN)
    return QueueJobs(
        running=list(jobs.filter(state=Job.State.RUNNING).order_by("-started_at")[:SHOWN_JOBS]),
        waiting=list(due_jobs().filter(queue=queue).select_related(*OF_A_JOB).order_by("queued_at")[:SHOWN_JOBS]),
        failed=list(failed.order_by("-finished_at")[:SHOWN_JOBS]),
        failed_count=failed.count(),
    )
