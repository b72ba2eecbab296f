"""The jobs that run now, and those that failed today, equal ones counted together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, Count, F, Max, TextField, Value, When
from django.urls import reverse
from django.utils import timezone

from workers.models import Job
from workers.practices import progress

MAX_RUNNING, MAX_FAILURES = 50, 10  # rows of a table


@dataclass(frozen=True)
class RunningJob:
    """percent: None until the job reports how far it is. silent_seconds: since its last report; None without one."""

    job: Job
    stage: str = ""
    percent: int | None = None
    silent_seconds: float | None = None


@dataclass(frozen=True)
class Running:
    """count: of all. jobs: the longest."""

    count: int
    jobs: Sequence[RunningJob]


@dataclass(frozen=True)
class FailureReason:
    """Jobs of one task that failed by one error. message: of one of them."""

    task: str
    message: str
    error: str
    fingerprint: str
    count: int
    last_at: datetime

    @property
    def detail(self) -> str:
        """What the error says beside the message: often its class alone."""
        return self.error.replace(self.message, "").strip().removesuffix(":") if self.message else self.error

    @property
    def search_url(self) -> str:
        """The page of these jobs."""
        reason = f"error:{self.fingerprint}" if self.fingerprint else f"state:failed task:{self.task}"
        query = {"q": f"{reason} on:{timezone.localdate():%Y-%m-%d}"}
        return f"{reverse('operations_jobs')}?{urlencode(query)}"


@dataclass(frozen=True)
class Failures:
    """since: midnight. count: of jobs. kinds: the most frequent of kind_count."""

    since: datetime
    count: int
    kind_count: int
    kinds: Sequence[FailureReason]


def running_jobs() -> Running:
    """Raises DatabaseError."""
    running = Job.objects.filter(state=Job.State.RUNNING)
    shown = running.select_related("owner").order_by("started_at")
    jobs = list(shown.only("task", "queue", "worker", "started_at", "owner__username")[:MAX_RUNNING])
    reports = progress.read_many(job.pk for job in jobs)
    count = len(jobs) if len(jobs) < MAX_RUNNING else running.count()
    return Running(count, [_with_progress(job, reports.get(job.pk)) for job in jobs])


def _with_progress(job: Job, report: dict[str, Any] | None) -> RunningJob:
    if report is None:
        return RunningJob(job)
    percent = int(100 * report["done"] / report["total"]) if report["total"] else None
    return RunningJob(job, report["stage"], percent, progress.silent_seconds(report))


def failures_of_today() -> Failures:
    """Equal errors have one fingerprint; a job without one is grouped by its message. Raises DatabaseError."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    reason = Case(When(error_fingerprint="", then=F("message")), default=Value(""), output_field=TextField())
    failed = Job.objects.filter(state=Job.State.FAILED, finished_at__gte=midnight)
    groups = (
        failed.values("task", "error_fingerprint", reason=reason)
        .annotate(count=Count("pk"), last_at=Max("finished_at"), text=Max("message"), line=Max("error"))
        .order_by("-count", "-last_at")
    )
    kinds = [
        FailureReason(
            each["task"], each["text"], each["line"], each["error_fingerprint"], each["count"], each["last_at"]
        )
        for each in groups
    ]
    return Failures(midnight, sum(kind.count for kind in kinds), len(kinds), kinds[:MAX_FAILURES])
