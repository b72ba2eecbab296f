"""One attempt at a job: what an engine's callables do to the row and to the cache.

Every write carries the attempt's number (the fence), so that a holder which lost its lease can write nothing any more.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from redis.exceptions import RedisError

from workers.models import Job
from workers.practices import concurrency, locks, progress, timing
from workers.runtime import stopping

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at the row for a cancel
PAUSES = (1, 2, 4, 8, 15)  # seconds between the tries at the last word
NOT_DISPATCHED: dict[str, Any] = {"dispatched_at": None, "not_before": None}
DATABASE_AWAY = (OperationalError, InterfaceError)


class RetryLater(Exception):
    """Work cannot go on now: its job goes back to the queue, and no worker slot is held while it waits.

    seconds: when it comes again at the earliest. sentence: what its page says until then.
    """

    def __init__(self, seconds: float, sentence: str) -> None:
        super().__init__(sentence)
        self.seconds = seconds
        self.sentence = sentence


class Cancelled(Exception):
    """Its owner asked for an end; raised from the next report."""


class Attempt:
    """A job in the hands of the one process that may work on it."""

    def __init__(self, job: Job, lease: locks.Lease) -> None:
        self.id = job.id
        self.number = job.attempt
        self.owner_id = job.owner_id
        self.arguments = job.arguments
        self.checkpoint = job.checkpoint
        self.result = job.result
        self._leases = [lease]
        self._mine = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=Job.State.RUNNING)
        self._progress = progress.Progress(job.id, job.owner_id)
        self._looked = -LOOK_EVERY

    def report(self, done: float, total: float, stage: str, **figures: int) -> None:
        """Tells the page how far it is. Raises Cancelled, LeaseLost or Stopping: stop, and write nothing more."""
        stopping.check()
        self._check_leases()
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._look()
        self._progress.report(done, total, stage, **figures)

    def save(self, checkpoint: dict[str, Any], result: dict[str, Any]) -> None:
        """Writes how far the work is, in the caller's transaction. Raises LeaseLost, which rolls it back."""
        self._check_leases()
        # Work that gets on is no poison: only deaths at the same place count.
        self._write(checkpoint=checkpoint, result=result, crash_count=0)
        self.checkpoint, self.result = checkpoint, result

    def end(self, state: Job.State, message: str = "", detail: str = "") -> None:
        """Writes the last word. Waits half a minute for a database that is away: hours of work may hang on it."""
        word = {"state": state, "message": message, "detail": detail, "result": self.result}
        for pause in (*PAUSES, None):
            try:
                self._write(**word, finished_at=timezone.now())
                break
            except DATABASE_AWAY:
                connection.close()
                if pause is None:
                    raise
                time.sleep(pause)
        progress.clear(self.id)
        if state != Job.State.DONE:
            timing.ended_as(state)  # Celery sees a success: the error ends here
        log.info("job %s is %s. %s", self.id, state, message)

    def hand_back(self, message: str = "", delay: float = 0) -> None:
        """Puts the job back in its queue where its checkpoint stands, not to start again before `delay` seconds."""
        later = timezone.now() + timedelta(seconds=delay) if delay else None
        self._write(state=Job.State.QUEUED, message=message, **(NOT_DISPATCHED | {"not_before": later}))
        progress.clear(self.id)
        timing.ended_as("retried")

    @contextmanager
    def writing_to(self, table: str) -> Iterator[None]:
        """Alone in a table while the block runs (practice 4). Raises RetryLater while another import is."""
        try:
            with concurrency.one_writer(table) as lease:
                self._leases.append(lease)
                yield
        except locks.Busy:
            pause = concurrency.pause_before_try(self.number)
            raise RetryLater(pause, "Waiting for another import into the catalogue to end.") from None
        except RedisError as error:
            raise RetryLater(concurrency.FIRST_PAUSE, "Waiting for the server that keeps imports apart.") from error

    def _check_leases(self) -> None:
        for lease in self._leases:
            lease.check()

    def _look(self) -> None:
        try:
            asked = self._mine.values_list("cancel_requested_at").first()
        except DATABASE_AWAY as error:
            if connection.in_atomic_block:
                raise
            connection.close()
            log.warning("job %s cannot look at its row now: %s", self.id, error)
            return
        if asked is None:
            raise locks.LeaseLost(f"job {self.id} is another attempt's")
        if asked[0] is not None:
            raise Cancelled

    def _write(self, **fields: Any) -> None:
        if not self._mine.update(**fields):
            raise locks.LeaseLost(f"job {self.id} is another attempt's")
