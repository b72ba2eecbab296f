"""What people do with a job: create, confirm, cancel, retry.

Each change is one conditional UPDATE of the row, which does nothing if the row is no longer in the expected state.
`workers.models.Job` draws the states; execution.py runs a job, recovery.py takes it from a dead worker.
"""

from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from workers.jobs import user_messages
from workers.jobs.dispatch import NOT_DISPATCHED, publish
from workers.models import Job
from workers.queues import table

NEEDS_MAPPING, QUEUED, RUNNING = Job.State.NEEDS_MAPPING, Job.State.QUEUED, Job.State.RUNNING
NOT_ENDED: dict[str, Any] = {
    "message": "",
    "detail": "",
    "crash_count": 0,
    "cancel_requested_at": None,
    "finished_at": None,
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
    """Writes a job and publishes it once the surrounding transaction has committed, unless it needs a mapping.

    task: a name in the table of queues; LookupError otherwise. arguments: JSON: ids, storage names, short strings.
    job_id: the id of its object, if that exists already. publish_now: False leaves the publishing to the sweep. Use it
    where one transaction writes many jobs: a silent broker holds a web request for a second per job.
    """
    job = Job.objects.create(
        id=job_id or uuid4(),
        state=NEEDS_MAPPING if needs_mapping else QUEUED,
        message=user_messages.CONFIRM_MAPPING if needs_mapping else "",
        task=task,
        queue=table().queue_of(task),
        owner_id=owner_id,
        arguments=arguments,
        queued_at=timezone.now(),
    )
    if publish_now and not needs_mapping:
        transaction.on_commit(lambda: publish(job), robust=True)
    return job


def confirm(job: Job, **arguments: Any) -> bool:
    """Queues a job that needs a mapping, to start from the beginning. False if it does not need one.

    arguments: added to the job's, such as its columns. Rows that it wrote before stay; its counts restart.
    """
    restarted = {"arguments": job.arguments | arguments, "checkpoint": {}, "result": {}, "queued_at": timezone.now()}
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk, state=NEEDS_MAPPING).update(
            state=QUEUED, **restarted, **NOT_ENDED, **NOT_DISPATCHED
        ):
            return False
        job.rejected_rows.all().delete()
        transaction.on_commit(lambda: publish(job), robust=True)
    return True


def reopen_mapping(job: Job) -> bool:
    """Lets an ended job wait for a mapping. False if it has not ended."""
    ended = Job.objects.filter(pk=job.pk, state__in=Job.FINAL)
    message = {"message": user_messages.CONFIRM_MAPPING}
    return bool(ended.update(state=NEEDS_MAPPING, started_at=None, **NOT_ENDED | message))


def cancel(job: Job) -> bool:
    """Ends a waiting job, and asks a running one to stop, which it sees within 2 s. False if it had ended before."""
    now, message = timezone.now(), user_messages.CANCELLED_BEFORE_START
    row = Job.objects.filter(pk=job.pk)
    ended = {"state": Job.State.CANCELLED, "message": message, "finished_at": now}
    return bool(
        row.filter(state__in=(NEEDS_MAPPING, QUEUED)).update(**ended)
        or row.filter(state=RUNNING).update(cancel_requested_at=now)
    )


def retry(job: Job, **arguments: Any) -> bool:
    """Puts a failed or cancelled job at the end of its queue; its checkpoint stays. False if it is neither.

    arguments: added to the job's, such as force=True.
    """
    ended = Job.objects.filter(pk=job.pk, state__in=(Job.State.FAILED, Job.State.CANCELLED))
    queued = {"state": QUEUED, "queued_at": timezone.now(), "arguments": job.arguments | arguments}
    with transaction.atomic():
        if not ended.update(**queued, **NOT_ENDED, **NOT_DISPATCHED):
            return False
        transaction.on_commit(lambda: publish(job), robust=True)
    return True
