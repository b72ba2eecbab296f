"""The life of a job: what the site and every task call.

The row decides. A message only says "look at this row", so it may come twice, late or never: the claim makes a second
delivery a no-op, and the sweep (workers/default/housekeeping.py) publishes what was lost. A task is a doorway:
`with jobs.working_on(job_id) as job:` and one call into an engine.
"""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from celery import current_task
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from workers import log_context
from workers.brokers.connection import count_waiting
from workers.jobs.attempt import DATABASE_AWAY, NOT_DISPATCHED, Attempt, Cancelled, RetryLater
from workers.models import Job
from workers.practices import locks, progress, timing
from workers.queues import table
from workers.runtime import publishing, stopping
from workers.runtime.task import is_of_the_task

log = logging.getLogger(__name__)

MAX_CRASHES = 3  # workers that one job may take with it
STARTING = "Processing is about to start"
STOPPED = "Its worker was stopped; another one takes it up."
OUR_FAULT = "Something went wrong on our side. Your file is safe: try again."
TOO_LONG = "This took longer than we allow for one file. Try a smaller one."
CRASHED_TOO_OFTEN = "This file stopped our worker several times, so we gave up on it. Your file is safe."
NOT_THE_FILE = (OUR_FAULT, TOO_LONG, CRASHED_TOO_OFTEN)
SILENT = "No sign of life for {:.0f} s. If its worker died, another one takes it up in a minute."
WAITS = "Your file is safe. Confirm how it is to be read, then it starts."
NEEDS_MAPPING, QUEUED, RUNNING = Job.State.NEEDS_MAPPING, Job.State.QUEUED, Job.State.RUNNING
FRESH: dict[str, Any] = {
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

    task: a name from the table of queues, LookupError otherwise. arguments: JSON: ids, storage names, short strings.
    job_id: of what it is about, where that has an id before. publish_now: False leaves the publishing to the sweep, for
    one transaction may write many such jobs, and a silent broker holds a web request a second for each.
    """
    job = Job.objects.create(
        id=job_id or uuid4(),
        state=NEEDS_MAPPING if needs_mapping else QUEUED,
        message=WAITS if needs_mapping else "",
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
    """Puts a job that needs a mapping into its queue, to begin from the start. False if it does not need one.

    arguments: more of the job's, such as its columns. What it wrote before stays written; its counts begin anew.
    """
    anew = {"arguments": job.arguments | arguments, "checkpoint": {}, "result": {}, "queued_at": timezone.now()}
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk, state=NEEDS_MAPPING).update(
            state=QUEUED, **anew, **FRESH, **NOT_DISPATCHED
        ):
            return False
        job.rejected_rows.all().delete()
        transaction.on_commit(lambda: publish(job), robust=True)
    return True


def reopen_mapping(job: Job) -> bool:
    """Lets an ended job wait for a mapping. False if it has not ended, or waits already."""
    ended = Job.objects.filter(pk=job.pk, state__in=Job.FINAL)
    return bool(ended.update(state=NEEDS_MAPPING, started_at=None, **FRESH | {"message": WAITS}))


def publish(job: Job) -> bool:
    """Tells the broker of a queued job. False where the broker is away: the row stays, and the sweep sends it."""
    with log_context.bind_job(job.id):
        try:
            publishing.publish(job.task, str(job.id), job.queue)
        except (BrokerError, OSError) as error:
            log.warning("job %s is not with the broker yet: %r", job.id, error)
            return False
        log.info("job %s waits in %s", job.id, job.queue)
    Job.objects.filter(pk=job.pk, state=QUEUED).update(dispatched_at=timezone.now())
    return True


def cancel(job: Job) -> bool:
    """Ends a waiting job, and asks a running one to stop, which it sees within 2 s. False if it had ended before."""
    now, message = timezone.now(), "Cancelled before it started."
    this = Job.objects.filter(pk=job.pk)
    ended = {"state": Job.State.CANCELLED, "message": message, "finished_at": now}
    return bool(
        this.filter(state__in=(NEEDS_MAPPING, QUEUED)).update(**ended)
        or this.filter(state=RUNNING).update(cancel_requested_at=now)
    )


def retry(job: Job, **arguments: Any) -> bool:
    """Puts a failed or cancelled job at the end of its queue; its checkpoint stays. False if it is neither.

    arguments: more of the job's, such as force=True.
    """
    ended = Job.objects.filter(pk=job.pk, state__in=(Job.State.FAILED, Job.State.CANCELLED))
    again = {"state": QUEUED, "queued_at": timezone.now(), "arguments": job.arguments | arguments}
    with transaction.atomic():
        if not ended.update(**again, **FRESH, **NOT_DISPATCHED):
            return False
        transaction.on_commit(lambda: publish(job), robust=True)
    return True


def state_of(job: Job) -> dict[str, Any]:
    """Where a job stands, as `/jobs/<uuid>/progress.json` says it: from the row, and from the cache while it runs."""
    if job.state == RUNNING and (last := progress.last(job.id)):
        return running_state(last)
    queued, whole = job.state == QUEUED, int(job.state == Job.State.DONE)
    return {
        "state": job.state,
        "done": whole,
        "total": whole,
        "stage": STARTING if queued or job.state == RUNNING else "",
        "message": job.message,
        "eta_seconds": None,
        "queue_position": position(job) if queued else None,
        "result": job.result,
    }


def running_state(now: dict[str, Any]) -> dict[str, Any]:
    """The same from one read of the cache alone: a running job's poll costs no SQL. An old report says how old."""
    unset: dict[str, Any] = {"state": RUNNING.value, "message": "", "queue_position": None, "result": {}}
    shown = ("done", "total", "stage", "eta_seconds", "rate", "updated_at", "figures")
    silent = progress.silence(now)
    old = {"message": SILENT.format(silent), "eta_seconds": None, "rate": None} if silent > progress.STALE_AFTER else {}
    return unset | {key: now.get(key) for key in shown} | old


def position(job: Job) -> int:
    """Its place in the queue, 1 for the next one."""
    ahead = Job.objects.filter(state=QUEUED, queue=job.queue, queued_at__lt=job.queued_at)
    return ahead.count() + 1


@contextmanager
def working_on(job_id: str) -> Iterator[Attempt]:
    """Everything around an engine: lock, claim, and the one right end for whatever happens inside.

    Raises Ignore where another run has the job or it has ended: the second delivery of a message is a no-op.
    """
    try:
        with locks.exclusive(f"job:{job_id}", lease=settings.JOB_LEASE) as lease:
            attempt = Attempt(_claim(job_id), lease)
            try:
                yield attempt
            except BaseException as error:
                _end_badly(attempt, error)
            else:
                attempt.end(Job.State.DONE)
    except stopping.Stopping:
        publish(Job.objects.get(pk=job_id))  # now that its lock is free
    except (locks.Busy, RedisError):
        # Nobody brings this message again, so the sweep has to, if the row is still queued. Without a time before which
        # it may not start: the holder of the lock may be about to claim it.
        Job.objects.filter(pk=job_id, state=QUEUED).update(dispatched_at=None)
        raise Ignore from None
    except locks.LeaseLost as lost:
        log.warning("stopped: %s", lost)
        timing.ended_as("lost")
        raise Ignore from None


def _claim(job_id: str) -> Job:
    """Makes this process the one attempt at a job; the caller holds its lock. Raises Ignore if it may not be."""
    now = timezone.now()
    requeue_or_fail_orphans(Job.objects.filter(pk=job_id))
    due = Job.objects.filter(Q(not_before=None) | Q(not_before__lte=now), pk=job_id, state=QUEUED)
    mine = {
        "attempt": F("attempt") + 1,
        "worker": (current_task and current_task.request.hostname) or "a shell",
        "started_at": now,
    }
    if not due.update(state=RUNNING, message="", **mine):
        log.info("job %s has nothing to do for this message", job_id)
        raise Ignore
    return Job.objects.get(pk=job_id)


def _end_badly(attempt: Attempt, error: BaseException) -> None:
    """An engine's error that has a `sentence` speaks to people; any other one is our fault and says so."""
    if isinstance(error, stopping.Stopping) or not is_of_the_task(error):
        attempt.hand_back(STOPPED)
        raise error
    if isinstance(error, RetryLater):
        attempt.hand_back(error.sentence, error.seconds)
    elif isinstance(error, (locks.LeaseLost, *DATABASE_AWAY)):
        raise error  # not ours any more, or nothing can be written: the sweep takes the job up again
    elif isinstance(error, Cancelled):
        attempt.end(Job.State.CANCELLED, "Cancelled.")
    elif isinstance(error, SoftTimeLimitExceeded):
        attempt.end(Job.State.FAILED, TOO_LONG)
    else:
        log.warning("job %s failed: %r", attempt.id, error)
        detail = getattr(error, "detail", "") or traceback.format_exc()
        attempt.end(Job.State.FAILED, getattr(error, "sentence", OUR_FAULT), detail[-10_000:])


def requeue_or_fail_orphans(jobs: QuerySet[Job]) -> int:
    """Takes running jobs from workers that are surely dead. Back to the queue, or failed after MAX_CRASHES of them."""
    running = jobs.filter(state=RUNNING)
    poison = {"state": Job.State.FAILED, "message": CRASHED_TOO_OFTEN, "finished_at": timezone.now()}
    running.filter(crash_count__gte=MAX_CRASHES - 1).update(**poison)
    message = "Its worker died; another one takes it up."
    return running.update(state=QUEUED, message=message, crash_count=F("crash_count") + 1, **NOT_DISPATCHED)


def undispatched() -> list[Job]:
    """Queued jobs that the broker was never told of, and those whose time to try again has come; oldest first."""
    now = timezone.now()
    forgotten = Q(not_before=None, queued_at__lt=now - timedelta(seconds=5))
    due = Job.objects.filter(forgotten | Q(not_before__lte=now), state=QUEUED, dispatched_at=None)
    return list(due.order_by("queued_at")[:1000])


def orphans() -> QuerySet[Job]:
    """Running jobs whose lock nobody holds: their worker is gone. Raises RedisError if it cannot be known."""
    young = timezone.now() - timedelta(seconds=5)
    running = Job.objects.filter(state=RUNNING, started_at__lt=young).values_list("pk", "attempt")
    gone = [Q(pk=pk, attempt=attempt) for pk, attempt in running if not locks.is_held(f"job:{pk}")]
    return Job.objects.filter(Q(*gone, _connector=Q.OR)) if gone else Job.objects.none()


def lost_messages() -> list[Job]:
    """Queued jobs whose message the broker no longer has: it was told a minute ago, and its queue is empty."""
    minute = timezone.now() - timedelta(seconds=60)
    waiting = list(Job.objects.filter(state=QUEUED, dispatched_at__lt=minute).order_by("queued_at")[:1000])
    empty = {queue for queue in {job.queue for job in waiting} if count_waiting(queue) == 0}
    return [job for job in waiting if job.queue in empty]
