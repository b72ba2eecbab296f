"""How long runs and jobs wait in their queues, and for what: a worker is not always to blame."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.db.models import Case, Count, F, Min, Q, QuerySet, When
from django.db.models.functions import Greatest
from django.utils import timezone

from workers.models import Job
from workers.queues import Queue, table
from workers.telemetry import pauses
from workers.telemetry.outcomes import FINISHED

P95_WAIT = f"""
    SELECT queue, percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds), count(*) FROM workers_taskrun
    WHERE ended_at > now() - interval '10 minutes' AND queue = ANY(%s) AND task <> %s AND wait_seconds IS NOT NULL
        AND outcome IN {FINISHED}
    GROUP BY queue"""  # noqa: S608 (of our own constants)
SINCE = Case(
    When(Q(started_at=None) | Q(started_at__lt=F("queued_at")), then="queued_at"),  # new, or tried again by a person
    default=Greatest("queued_at", "started_at", "not_before", "dispatched_at"),
)
MIN_RUNS = 20  # of fewer, one run would be the p95


class P95(NamedTuple):
    seconds: float
    runs: int


def p95_waits(queues: Collection[str]) -> dict[str, P95]:
    """Of the finished runs of the last ten minutes without canaries. A queue without a run is left out."""
    with connection.cursor() as cursor:
        cursor.execute(P95_WAIT, [list(queues), table().canary_task])
        return {queue: P95(*found) for queue, *found in cursor.fetchall()}


def describe_p95(queue: str, p95: Mapping[str, P95]) -> str:
    if queue not in p95:
        return f"nothing ran from {queue} in ten minutes"
    return f"{queue} waited {p95[queue].seconds:.1f} s (p95 of ten minutes)"


def due_jobs() -> QuerySet[Job]:
    """Queued jobs whose time has come, with the moment `since` which each waits."""
    is_due = Q(not_before=None) | Q(not_before__lte=timezone.now())
    return Job.objects.filter(is_due, state=Job.State.QUEUED).annotate(since=SINCE)


def job_ages() -> dict[str, float]:
    """Seconds that the oldest due job of each queue has waited, without empty queues. Raises DatabaseError."""
    now = timezone.now()
    oldest = due_jobs().values_list("queue").annotate(oldest=Min("since"))
    return {queue: (now - moment).total_seconds() for queue, moment in oldest}


def longest_wait(queues: Iterable[Queue], p95: Mapping[str, P95]) -> float | None:
    """Seconds, of the jobs that wait now in these queues and of each p95. Raises DatabaseError."""
    ages = job_ages()
    waiting = [ages[queue.name] for queue in queues if queue.name in ages]
    return max([*waiting, *(each.seconds for each in p95.values())], default=None)


def jobs_without_message() -> dict[str, int]:
    """Due jobs by queue, which wait in their rows: for their turn, for room in the queue, or for the broker."""
    return dict(due_jobs().filter(dispatched_at=None).values_list("queue").annotate(Count("pk")))


def oldest_unpublished(queue: Queue) -> datetime | None:
    """Since when the oldest job waits that should have a message and has none (workers/jobs/turns.py)."""
    unsent = due_jobs().filter(queue=queue.name, dispatched_at=None)
    if queue.in_turns:
        in_flight = Q(state=Job.State.QUEUED, dispatched_at__isnull=False)
        if queue.serialize_by:
            in_flight |= Q(state=Job.State.RUNNING) | Q(state=Job.State.QUEUED, not_before__gt=timezone.now())
        busy = Job.objects.filter(in_flight, queue=queue.name).exclude(owner=None)
        unsent = unsent.exclude(owner__in=busy.values("owner"))
    return _oldest(unsent)


def why_unpublished() -> str:
    """Raises DatabaseError."""
    if paused := pauses.pauses_of_task(table().sweep_task):
        return f"{'; '.join(pause.sentence for pause in paused)}. Resume it."
    return "Is the queue full, the broker away, or beat down? Practices 1 and 5 tell."


def wait_faults(queues: Iterable[Queue], p95: Mapping[str, P95]) -> Iterator[str]:
    """Yields a sentence for each cause for which jobs wait, or p95 waited, longer than their queue's target.

    Raises DatabaseError.
    """
    now = timezone.now()
    for queue in queues:
        target = timedelta(seconds=queue.target_seconds)
        due = due_jobs().filter(queue=queue.name)
        later = Job.objects.filter(queue=queue.name, state=Job.State.QUEUED, not_before__gt=now)
        failing = later.filter(queued_at__lt=now - target).order_by("-started_at")
        if last := failing.first():
            yield f"{failing.count()} of {queue.name} failed, to be tried again later. The last one: {last.message}"
        unsent = oldest_unpublished(queue)
        if unsent and now - unsent > target:
            waited = f"{_seconds(now - unsent)} of {queue.target_seconds} s"
            yield f"A job in {queue.name} has no message for {waited}: {why_unpublished()}"
        worker = table().consumers[queue.name]
        sent = _oldest(due.exclude(dispatched_at=None))
        if sent and now - sent > target:
            question = "" if last else f" Is the {worker} worker up?"
            yield f"A job in {queue.name} waits for {_seconds(now - sent)} of {queue.target_seconds} s.{question}"
        elif (found := p95.get(queue.name)) and found.runs >= MIN_RUNS and found.seconds > queue.target_seconds:
            yield (
                f"In the last ten minutes, one run in twenty of {queue.name} waited more than {queue.target_seconds}"
                f" s. Is a task slower than usual (practice 7)? Else add a {worker} worker."
            )


def late_faults(waits: Mapping[str, float], without_worker: Collection[str]) -> Iterator[str]:
    """Yields a sentence for each late queue: more workers help only where they live, and only what has a message.

    waits: seconds by queue. Raises DatabaseError.
    """
    for queue in table().queues.values():
        target, worker = queue.target_seconds, table().consumers[queue.name]
        if (waited := waits.get(queue.name, 0.0)) <= target:
            continue
        since = oldest_unpublished(queue)
        unsent = (timezone.now() - since).total_seconds() if since else 0.0
        if unsent > target:
            yield f"The oldest in {queue.name} has no message for {unsent:.0f} s of {target} s: {why_unpublished()}"
        elif queue.name in without_worker:
            yield f"The oldest in {queue.name} has waited {waited:.0f} s of {target} s."
        else:
            yield (
                f"The oldest in {queue.name} has waited {waited:.0f} s of {target} s: add a {worker} worker, unless its"
                " queue is full (practice 1)."
            )


def _oldest(jobs: QuerySet[Job]) -> datetime | None:
    oldest: datetime | None = jobs.aggregate(oldest=Min("since"))["oldest"]
    return oldest


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f} s"
