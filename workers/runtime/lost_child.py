"""A worker ends the locks, the progress and the run of a pool process that died, so that its job continues at once.

Otherwise the job would wait until its lease is over. Its message comes back by `task_reject_on_worker_lost`.
Not public in Celery 5.7: `Request.worker_pid`.
"""

import logging
from contextlib import suppress
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from billiard.exceptions import WorkerLostError
from celery.worker import request
from redis.exceptions import RedisError

from workers.practices import progress
from workers.telemetry.held_locks import release_locks_of
from workers.telemetry.recorder import record_lost_runs

log = logging.getLogger(__name__)


class Request(request.Request):
    """Of every task (workers/runtime/task.py). A worker's main process calls it."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, WorkerLostError) and self.worker_pid:
            self.end_locks(int(self.worker_pid))
        return super().on_failure(exc_info, *args, **kwargs)

    def end_locks(self, pid: int) -> None:
        """Only logs that the server is away: the locks end with their leases."""
        try:
            released = release_locks_of(pid)
        except RedisError as error:
            log.warning("dead_process_locks_kept pid=%s error=%r", pid, error)
            return
        log.warning("pool_process_died pid=%s locks=%r", pid, " ".join(released))
        if f"job:{self.id}" in released:
            progress.clear(self.id)
        with suppress(RedisError):  # else the collection of runs records the loss
            record_lost_runs(self.hostname, pid)
