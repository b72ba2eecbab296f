"""What happens to a job outside of its runs: create, confirm, cancel, retry, move.

Each change is one conditional UPDATE, which changes nothing if the row is in another state than expected.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from workers import log_context
from workers.jobs import user_messages
from workers.jobs.dispatch import NOT_DISPATCHED, publish, publish_next
from workers.models import Job
from workers.queues import table

NEEDS_MAPPING, QUEUED, RUNNING = Job.State.NEEDS_MAPPING, Job.State.QUEUED, Job.State.RUNNING
RETRYABLE = (Job.State.FAILED, Job.State.CANCELLED)
CANCELLABLE = (NEEDS_MAPPING, QUEUED, RUNNING)
NOT_ENDED: dict[str, Any] = {
    "message": "",
    "error": "",
    "error_fingerprint": "",
    "detail": "",
    "crash_count": 0,
    "cancel_requested_at": None,
    "finished_at": None,
    "not_before": None,
}


def create(
    task: str,
    *,
    owner_id: int | None,
    arguments: dict[str, Any],
    needs_mapping: bool = False,
    job_id: UUID | None = None,
    publish_now: bool = True,
) -> Job:
    """Publishes the job once the surrounding transaction has committed. Raises LookupError for an unknown task.

    arguments: JSON. publish_now: False leaves it to the sweep. Use that for many jobs in one transaction: a silent
    broker costs a second for each.
    """
    job = Job.objects.create(
        id=job_id or uuid4(),
        request_id=log_context.known_request_id(),
        state=NEEDS_MAPPING if needs_mapping else QUEUED,
        message=user_messages.CONFIRM_MAPPING if needs_mapping else "",
        task=task,
        queue=table().queue_of(task),
        owner_id=owner_id,
        arguments=arguments,
        queued_at=timezone.now(),
    )
    if publish_now and not needs_mapping:
        transaction.on_commit(lambda: publish_next(job), robust=True)
    return job


def confirm(job: Job, **arguments: Any) -> bool:
    """Starts the job from the beginning; rows that it wrote stay. False if it needs no mapping."""
    restarted = {"arguments": job.arguments | arguments, "checkpoint": {}, "result": {}, "queued_at": timezone.now()}
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk, state=NEEDS_MAPPING).update(
            state=QUEUED, **restarted, **NOT_ENDED, **NOT_DISPATCHED
        ):
            return False
        job.rejected_rows.all().delete()
        transaction.on_commit(lambda: publish_next(job), robust=True)
    return True


def reopen_mapping(job: Job) -> bool:
    """False if the job has not ended."""
    ended = Job.objects.filter(pk=job.pk, state__in=Job.FINAL)
    message = {"message": user_messages.CONFIRM_MAPPING}
    reopened = NOT_ENDED | message | {"queued_at": timezone.now()}
    return bool(ended.update(state=NEEDS_MAPPING, started_at=None, **reopened))


def cancel(job: Job) -> bool:
    """Ends a waiting job, and asks a running one to stop. False if it had ended."""
    now, message = timezone.now(), user_messages.CANCELLED_BEFORE_START
    row = Job.objects.filter(pk=job.pk)
    ended = {"state": Job.State.CANCELLED, "message": message, "finished_at": now}
    if row.filter(state__in=(NEEDS_MAPPING, QUEUED)).update(**ended):
        transaction.on_commit(lambda: publish_next(job), robust=True)  # the next one of its owner
        return True
    return bool(row.filter(state=RUNNING).update(cancel_requested_at=now))


def cancel_unconfirmed(before: datetime, limit: int) -> int:
    """Cancels jobs whose mapping nobody confirmed since. Returns how many."""
    unconfirmed = Job.objects.filter(state=NEEDS_MAPPING, queued_at__lt=before).values_list("pk", flat=True)[:limit]
    ended = {"message": user_messages.NOT_CONFIRMED, "finished_at": timezone.now()}
    return Job.objects.filter(pk__in=list(unconfirmed), state=NEEDS_MAPPING).update(state=Job.State.CANCELLED, **ended)


def retry(job: Job, **arguments: Any) -> bool:
    """Keeps the checkpoint. False unless the job failed or was cancelled."""
    ended = Job.objects.filter(pk=job.pk, state__in=RETRYABLE)
    queued = {"state": QUEUED, "queued_at": timezone.now(), "arguments": job.arguments | arguments}
    with transaction.atomic():
        if not ended.update(**queued, **NOT_ENDED, **NOT_DISPATCHED):
            return False
        transaction.on_commit(lambda: publish_next(job), robust=True)
    return True


def move(job_id: str, task: str) -> bool:
    """Gives a queued job to another task and its queue. False if it is not queued, or moved before."""
    waiting = Job.objects.filter(pk=job_id, state=QUEUED).exclude(task=task)
    if not waiting.update(task=task, queue=table().queue_of(task), **NOT_DISPATCHED):
        return False
    return publish(Job.objects.get(pk=job_id))
