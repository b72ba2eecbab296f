"""One run of a job: lock, claim, engine, end."""

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from celery import current_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from redis.exceptions import RedisError

from workers.jobs import attempt_rows, user_messages
from workers.jobs.attempt import DATABASE_ERRORS, Attempt, Cancelled, RetryLater, patiently
from workers.jobs.dispatch import NOT_DISPATCHED, publish_next
from workers.jobs.recovery import is_silent, requeue_or_fail_orphans, withdraw_crash
from workers.models import Job
from workers.practices import locks, timing
from workers.runtime import stopping
from workers.runtime.task import is_raised_by_task

log = logging.getLogger(__name__)

DETAIL_CHARACTERS = 10_000
DATABASE_PAUSE_SECONDS = 2  # until the next attempt after the database was away
RETURN_SECONDS = 1  # before a message goes back to its queue, which hands it out again at once


@contextmanager
def working_on(job_id: str) -> Iterator[Attempt]:
    """Holds the job's lock and writes how the block ended; an engine's error ends in the row.

    Raises Ignore if the job has ended or is not due, if another run has it, or if the server of the locks is away, and
    Reject if the database is: the message goes back to its queue.
    """
    claimed = None
    try:
        with locks.exclusive(f"job:{job_id}", lease=settings.JOB_LEASE, is_fenced=True) as lease:
            with _returning_message():
                claimed = _claim(job_id)
            attempt = Attempt(claimed, lease)
            _publish_next(claimed)
            try:
                yield attempt
            except BaseException as error:
                _end_with_error(attempt, error)
            else:
                attempt.finish(Job.State.DONE)
    except stopping.WorkerStopping:
        pass  # another worker continues the job
    except (locks.Busy, RedisError) as error:
        # This message is gone. If the row is still queued, the sweep sends another one. `not_before` stays, and the
        # number of the message too: the holder of the lock may be about to claim the row with it.
        unsent = {"dispatched_at": None} if isinstance(error, locks.Busy) else NOT_DISPATCHED
        with _returning_message():
            Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(**unsent)
        raise Ignore from None
    except locks.LeaseLost as lost:
        log.warning("job_attempt_lost reason=%r", str(lost))
        timing.set_outcome("lost")
        if attempt.was_suspended:
            withdraw_crash(attempt.id, attempt.number)
        raise Ignore from None
    finally:
        if claimed:  # its lock is free now
            _publish_next(claimed)


@contextmanager
def _returning_message() -> Iterator[None]:
    """Raises Reject if the database is away. A lost message would be missed only after outbox.LOST_SECONDS."""
    try:
        yield
    except DATABASE_ERRORS as error:
        log.warning("job_message_returned error=%r", str(error))
        time.sleep(RETURN_SECONDS)
        raise Reject("the database is away", requeue=True) from None


def _claim(job_id: str) -> Job:
    """The caller holds the job's lock. Raises Ignore if the job is not due, or was given a newer message."""
    claimed = _take(job_id, **_of_this_message())
    if claimed is None:
        # The message of a dead worker comes back: its job still says running.
        dead = Job.objects.filter(pk=job_id, state=Job.State.RUNNING)
        if dead.exists() and is_silent(job_id) and requeue_or_fail_orphans(dead):
            claimed = _take(job_id)
    if claimed is None:
        log.info("job_message_ignored")
        raise Ignore
    return claimed


def _of_this_message() -> dict[str, int]:
    """A filter; empty for a message of a release that numbered none, and in a shell."""
    number = getattr(current_task and current_task.request, "dispatch_number", None)
    return {} if number is None else {"dispatch_number": number}


def _take(job_id: str, **chosen: int) -> Job | None:
    now = timezone.now()
    due = Job.objects.filter(Q(not_before=None) | Q(not_before__lte=now), pk=job_id, state=Job.State.QUEUED, **chosen)
    claim = {
        "attempt": F("attempt") + 1,
        "worker": (current_task and current_task.request.hostname) or "a shell",
        "started_at": now,
    }
    with transaction.atomic():
        if not due.update(state=Job.State.RUNNING, message="", error="", error_fingerprint="", **claim):
            return None
        claimed = Job.objects.get(pk=job_id)
        attempt_rows.begin(claimed)
        timing.set_attempt(claimed.attempt, attempt_rows.wait_seconds(claimed))
    return claimed


def _publish_next(job: Job) -> None:
    """The job itself if it was given back, or the job whose turn it is. If that fails, the sweep does it."""
    with suppress(*DATABASE_ERRORS):
        publish_next(job)


def _end_with_error(attempt: Attempt, error: BaseException) -> None:
    """The owner sees `error.sentence`, if the error has one."""
    if isinstance(error, stopping.WorkerStopping) or not is_raised_by_task(error):
        attempt.requeue(user_messages.WORKER_STOPPED)
        raise error
    if isinstance(error, RetryLater):
        attempt.requeue(error.sentence, error.seconds, error.__cause__)
    elif isinstance(error, locks.LeaseLost):
        attempt.requeue(user_messages.LOCK_LOST)  # raises LeaseLost if the job is another attempt's
    elif isinstance(error, DATABASE_ERRORS):
        if connection.is_usable():
            raise error  # of a living database: recovery counts a crash, else the job could fail so for ever
        log.warning("job_lost_database error=%r", error)
        patiently(partial(attempt.requeue, user_messages.DATABASE_LOST, DATABASE_PAUSE_SECONDS, error))
    elif isinstance(error, Cancelled):
        attempt.finish(Job.State.CANCELLED, user_messages.CANCELLED)
    elif isinstance(error, SoftTimeLimitExceeded):
        # Without its traceback: the limit interrupts each run at another line.
        attempt.finish(Job.State.FAILED, user_messages.TIME_LIMIT_EXCEEDED, error=error.with_traceback(None))
    else:
        log.warning("job_failed error=%r", error)
        detail = getattr(error, "detail", "") or traceback.format_exc()
        message = getattr(error, "sentence", user_messages.INTERNAL_ERROR)
        attempt.finish(Job.State.FAILED, message, detail[-DETAIL_CHARACTERS:], error)
