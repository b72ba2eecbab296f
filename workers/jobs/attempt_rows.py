"""The rows of a job's attempts. Each is written in the transaction that changes the job, so both say the same.

An older release beside this one writes none. What it takes from this release's attempts, the next claim and the
retention (`end_abandoned`) end as lost.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from workers import log_context
from workers.models import Job, JobAttempt

KEEP = 50  # attempts of one job, and older ones that were more than a wait for their turn
CHUNK = 500
Outcome = JobAttempt.Outcome


def begin(job: Job) -> None:
    """job: as its claim has written it, in the same transaction."""
    if job.attempt > 1:
        end_lost([job.pk])
    JobAttempt.objects.create(
        job=job,
        number=job.attempt,
        worker=job.worker,
        release=settings.RELEASE,
        request_id=log_context.known_request_id(),
        started_at=job.started_at or timezone.now(),
    )
    if job.attempt > KEEP:
        JobAttempt.objects.filter(job=job, number__lte=job.attempt - KEEP, outcome=Outcome.REQUEUED, error="").delete()


def wait_seconds(job: Job) -> float:
    """Of a job that has begun its attempt: since it was queued, without the time in which earlier attempts ran.

    After an attempt with an error, since it was due again. So a hand-back hides no wait, and a failure is none.
    """
    since, ran, begun_at = job.queued_at, timedelta(), job.started_at or timezone.now()
    earlier = (
        JobAttempt.objects.filter(job=job, number__lt=job.attempt, started_at__gte=since) if job.attempt > 1 else []
    )
    for attempt in sorted(earlier, key=lambda each: each.number):
        ended_at = attempt.ended_at or begun_at
        if attempt.error:
            is_last = attempt.number == job.attempt - 1
            since, ran = max(ended_at, job.not_before) if job.not_before and is_last else ended_at, timedelta()
        else:
            ran += ended_at - attempt.started_at
    return (begun_at - since - ran).total_seconds()


def end(job_id: UUID, number: int, outcome: Outcome, **fields: Any) -> None:
    """Changes nothing if the attempt has ended."""
    running = JobAttempt.objects.filter(job=job_id, number=number, ended_at=None)
    running.update(outcome=outcome, **{"ended_at": timezone.now()} | fields)


def end_lost(job_ids: Iterable[UUID], **fields: Any) -> None:
    """All running attempts of these jobs, whose workers are dead."""
    running = JobAttempt.objects.filter(job__in=job_ids, ended_at=None)
    running.update(outcome=Outcome.LOST, **{"ended_at": timezone.now()} | fields)


def end_abandoned() -> int:
    """A clean-up of the retention: attempts that their job no longer has. Returns how many."""
    has_it = Q(job__state=Job.State.RUNNING, job__attempt=F("number"))
    abandoned = list(JobAttempt.objects.filter(ended_at=None).exclude(has_it).values_list("pk", flat=True)[:CHUNK])
    # Once more with the condition: an attempt may have ended by itself meanwhile.
    still = JobAttempt.objects.filter(pk__in=abandoned, ended_at=None)
    return still.update(outcome=Outcome.LOST, ended_at=timezone.now())
