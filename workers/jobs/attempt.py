"""One attempt at a job.

Every write to the row checks its number, the fencing token: an older attempt changes nothing.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from workers.error_fingerprint import describe_error, fingerprint_error
from workers.jobs import attempt_rows, user_messages
from workers.jobs.dispatch import NOT_DISPATCHED, wake_writer
from workers.models import Job, JobAttempt
from workers.practices import concurrency, locks, progress, timing
from workers.queues import table as queue_table
from workers.runtime import stopping
from workers.runtime.suspension import SuspensionWatch

log = logging.getLogger(__name__)

CANCEL_CHECK_SECONDS = 1.0
RETRY_SECONDS = (1, 2, 4, 8, 15)
FAILURES = "failures"  # their count, in the checkpoint of a job
DATABASE_ERRORS = (OperationalError, InterfaceError)


class RetryLater(Exception):
    """seconds: from now to the earliest next attempt. sentence: what the job's page says until then."""

    def __init__(self, seconds: float, sentence: str) -> None:
        super().__init__(sentence)
        self.seconds = seconds
        self.sentence = sentence


class Cancelled(Exception):
    """The job's owner cancelled it."""


def patiently(write: Callable[[], None]) -> None:
    """Tries for 30 s while the database is away."""
    for pause in (*RETRY_SECONDS, None):
        try:
            write()
        except DATABASE_ERRORS:
            connection.close()
            if pause is None:
                raise
            time.sleep(pause)
        else:
            break


def fields_of_error(error: BaseException | None) -> dict[str, str]:
    """Of a job, and of its attempt."""
    if error is None:
        return {"error": "", "error_fingerprint": ""}
    return {"error": describe_error(error), "error_fingerprint": fingerprint_error(error)}


class Attempt:
    def __init__(self, job: Job, lease: locks.Lease) -> None:
        self.id = job.id
        self.number = job.attempt
        self.owner_id = job.owner_id
        self.queue = queue_table().queues[job.queue]
        self.arguments = job.arguments
        self.checkpoint = job.checkpoint
        self.result = job.result
        self._queued_at, self._started_at = job.queued_at, job.started_at or job.queued_at
        self._leases = [lease]
        self._row = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=Job.State.RUNNING)
        self._progress = progress.Progress(job.id, job.owner_id)
        self._checked_cancel_at = -CANCEL_CHECK_SECONDS
        # Others see a death from the last renewal of the lock and the last report that was written: up to a third of a
        # lease and progress.HEARTBEAT_SECONDS before the suspension.
        self._suspension = SuspensionWatch(settings.JOB_LEASE / 2)

    def report(self, done: float, total: float, stage: str, **figures: int) -> None:
        """Raises Cancelled, LeaseLost or WorkerStopping: stop, and write nothing more."""
        self._suspension.measure_gap()
        stopping.check_stop_requested()
        self._check_leases()
        now = time.monotonic()
        if now - self._checked_cancel_at >= CANCEL_CHECK_SECONDS:
            self._checked_cancel_at = now
            self._check_cancelled()
        self._progress.report(done, total, stage, **figures)

    def save(self, checkpoint: dict[str, Any], result: dict[str, Any]) -> None:
        """Writes in the caller's transaction. Raises LeaseLost, which rolls it back."""
        self._check_leases()
        # Only crashes at one and the same checkpoint count against a job.
        self._write(checkpoint=checkpoint, result=result, crash_count=0)
        self.checkpoint, self.result = checkpoint, result

    def count_failure(self) -> int:
        """How often it was called since the owner last started the job. Raises LeaseLost.

        For failures that are not the job's: the attempt number also grows with each deploy and each wait.
        """
        since, failures = self._queued_at.isoformat(), self.checkpoint.get(FAILURES, {})
        count = failures["count"] + 1 if failures.get("since") == since else 1
        checkpoint = self.checkpoint | {FAILURES: {"since": since, "count": count}}
        self._write(checkpoint=checkpoint)
        self.checkpoint = checkpoint
        return int(count)

    def finish(self, state: Job.State, message: str = "", detail: str = "", error: BaseException | None = None) -> None:
        """Tries for 30 s while the database is away. Raises LeaseLost."""
        now, found = timezone.now(), fields_of_error(error)
        final = {"state": state, "message": message, "detail": detail, "result": self.result, "finished_at": now}
        outcome = JobAttempt.Outcome(state)
        patiently(partial(self._end, outcome, final | found, message=message, ended_at=now, **found))
        progress.clear(self.id)
        if state != Job.State.DONE:
            timing.set_outcome(state, error)  # Celery sees a success: the error ends here
        queued, ran = self._started_at - self._queued_at, now - self._started_at
        seconds = [round(span.total_seconds(), 1) for span in (queued, ran)]
        log.info("job_finished state=%s message=%r queued=%s ran=%s", state, message, *seconds)

    def requeue(self, message: str = "", delay_seconds: float = 0, error: BaseException | None = None) -> None:
        """Keeps the checkpoint, or ends a job that is to be cancelled. The caller or the sweep publishes it."""
        if self._row.filter(cancel_requested_at__isnull=False).exists():
            self.finish(Job.State.CANCELLED, user_messages.CANCELLED)
            return
        not_before = timezone.now() + timedelta(seconds=delay_seconds) if delay_seconds else None
        queued = {"state": Job.State.QUEUED, "message": message, "not_before": not_before, **NOT_DISPATCHED}
        self._end(JobAttempt.Outcome.REQUEUED, queued, message=message, **fields_of_error(error))
        progress.clear(self.id)
        timing.set_outcome("retried")

    @contextmanager
    def writing_to(self, table: str) -> Iterator[None]:
        """Raises RetryLater while the table has enough writers, or while the server of the locks is away."""
        is_writer = False
        try:
            with concurrency.one_writer(table, self.owner_id, self.queue.max_writers) as leases:
                is_writer = True
                self._leases += leases
                yield
        except locks.Busy:
            raise RetryLater(concurrency.PAUSE_SECONDS, user_messages.WAITING_FOR_WRITERS) from None
        except RedisError as error:
            raise RetryLater(concurrency.PAUSE_SECONDS, user_messages.WAITING_FOR_LOCKS) from error
        finally:
            if is_writer:
                with suppress(*DATABASE_ERRORS):  # the next one wakes up after its pause
                    wake_writer(self.queue.name)

    def _check_leases(self) -> None:
        for lease in self._leases:
            lease.check()

    def _check_cancelled(self) -> None:
        try:
            row = self._row.values_list("cancel_requested_at").first()
        except DATABASE_ERRORS as error:
            if connection.in_atomic_block:
                raise
            connection.close()
            log.warning("job_cancel_check_failed error=%r", error)
            return
        if row is None:
            raise self._lease_lost()
        if row[0] is not None:
            raise Cancelled

    def _end(self, outcome: JobAttempt.Outcome, fields: dict[str, Any], **fields_of_attempt: Any) -> None:
        """fields: of the job."""
        with transaction.atomic():
            self._write(**fields)
            attempt_rows.end(self.id, self.number, outcome, **fields_of_attempt)

    def _write(self, **fields: Any) -> None:
        if not self._row.update(**fields):
            raise self._lease_lost()

    @property
    def was_suspended(self) -> bool:
        """Whether others may have taken it for dead although it lived."""
        self._suspension.measure_gap()
        return self._suspension.was_suspended

    def _lease_lost(self) -> locks.LeaseLost:
        return locks.LeaseLost(f"job {self.id} is another attempt's")
