"""A queue: what waits, what comes and goes, now and over time, and its jobs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.history.periods import PERIODS, chosen_period
from mediaapp.history.queues import queue_charts, read_now
from mediaapp.operations.parts import POLL_SECONDS, read_parts
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.brokers.state import read_queue_states_or_unknown
from workers.models import Job
from workers.queues import Queue, table
from workers.telemetry import liveness
from workers.telemetry.pauses import paused_queues
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


@dataclass(frozen=True)
class QueueWorkers:
    """Those that consume a queue, by their heartbeats: the broker still counts one that is stopped."""

    living: list[liveness.Worker]
    silent: list[liveness.Worker]


@never_cache
@require_safe
@staff_required
def show_queue(request: AuthenticatedRequest, name: str) -> HttpResponse:
    queue, period = get_queue_or_404(name), chosen_period(request)
    context = read_queue(queue, {"charts": lambda: queue_charts(queue, period)})
    return render(request, "operations/queue.html", context | {"period": period, "periods": PERIODS.values()})


@never_cache
@require_safe
@staff_required
def show_live_part(request: AuthenticatedRequest, name: str) -> HttpResponse:
    return render(request, "operations/_queue_live.html", read_queue(get_queue_or_404(name), {}))


def get_queue_or_404(name: str) -> Queue:
    queue = table().queues.get(name)
    if queue is None:
        raise Http404
    return queue


def read_queue(queue: Queue, others: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """The context of the live part. others: more parts of the database."""
    parts = read_parts(
        {
            "pause": lambda: paused_queues().get(queue.name),
            "jobs": lambda: read_jobs(queue.name),
            "now": lambda: read_now(queue),
        }
        | others,
        {"state": lambda: read_queue_states_or_unknown()[queue.name]},
        {"workers": lambda: read_workers(queue.name)},
    )
    own = {"queue": queue, "worker": table().consumers[queue.name]}
    return own | parts | {"now_at": timezone.now(), "poll_after": POLL_SECONDS}


def read_workers(queue: str) -> QueueWorkers:
    """Raises RedisError."""
    workers = liveness.read_workers()
    living = [worker for worker in workers if queue in worker.queues and not worker.is_silent]
    return QueueWorkers(living, liveness.silent_consumers(workers, queue))


def read_jobs(queue: str) -> QueueJobs:
    jobs = Job.objects.filter(queue=queue).select_related(*OF_A_JOB)
    failed = jobs.filter(state=Job.State.FAILED, finished_at__gte=timezone.now() - FAILED_WITHIN)
    return QueueJobs(
        running=list(jobs.filter(state=Job.State.RUNNING).order_by("-started_at")[:SHOWN_JOBS]),
        waiting=list(due_jobs().filter(queue=queue).select_related(*OF_A_JOB).order_by("queued_at")[:SHOWN_JOBS]),
        failed=list(failed.order_by("-finished_at")[:SHOWN_JOBS]),
        failed_count=failed.count(),
    )
