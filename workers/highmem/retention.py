"""Deletes what is too old (docs/retention.md), for a bounded time.

A clean-up is a function that deletes one chunk and returns how many it deleted: 0 once nothing is left. Each gets an
equal share of the time that is left, so that none starves the others.
"""

import logging
import time
from collections.abc import Callable, Collection
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string

from workers.alarms import deploys, incidents, states
from workers.jobs import attempt_rows
from workers.models import Job
from workers.practices.locks import Lease
from workers.runtime import stopping
from workers.storage import cleanup
from workers.telemetry import queue_samples, rollups

log = logging.getLogger(__name__)

MAX_SECONDS = 30  # of one run: an import may wait for it
HIDDEN_TASKS = (
    "workers.default.tasks.send_password_reset",
    "workers.default.tasks.delete_files",
    "workers.highmem.tasks.delete_files",
)
CHANGE_TASK = "workers.highmem.tasks.change_jobs"
KEEP_HIDDEN_JOBS = timedelta(days=1)
CHUNK = 500


def delete_hidden_jobs() -> int:
    """Ended jobs that only the staff see."""
    return _delete_ended(HIDDEN_TASKS, KEEP_HIDDEN_JOBS)


def delete_old_changes() -> int:
    """The staff's retries and cancels of many: the action log leads to them."""
    return _delete_ended([CHANGE_TASK], timedelta(days=settings.KEEP_SOURCES_DAYS))


def _delete_ended(tasks: Collection[str], age: timedelta) -> int:
    ended = Job.objects.filter(task__in=tasks, state__in=Job.FINAL)
    old = ended.filter(finished_at__lt=timezone.now() - age).order_by("finished_at")
    return Job.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:CHUNK])).delete()[0]


CLEAN_UPS: tuple[Callable[[], int], ...] = (
    delete_hidden_jobs,
    delete_old_changes,
    attempt_rows.end_abandoned,
    queue_samples.delete_old_samples,
    queue_samples.delete_old_queue_hours,
    rollups.delete_old_runs,
    rollups.delete_old_hours,
    states.delete_old_findings,
    incidents.delete_old_incidents,
    deploys.delete_old_deploys,
    cleanup.delete_broken_uploads,
    cleanup.abort_old_multipart,
)


def run_cleanups(lease: Lease) -> None:
    """The workers' and the site's. An error of one does not stop the others. Raises LeaseLost, WorkerStopping."""
    functions = [*CLEAN_UPS, *(import_string(name) for name in settings.CLEAN_UPS)]
    stop_at = time.monotonic() + MAX_SECONDS
    for remaining, function in zip(range(len(functions), 0, -1), functions, strict=True):
        share = (stop_at - time.monotonic()) / remaining
        try:
            count = _repeat(function, lease, share)
        except (OSError, DatabaseError) as error:
            log.warning("cleanup_failed cleanup=%s error=%r", function.__name__, error)
        else:
            if count:
                log.info("cleanup_finished cleanup=%s count=%s", function.__name__, count)


def _repeat(function: Callable[[], int], lease: Lease, seconds: float) -> int:
    total, stop_at = 0, time.monotonic() + seconds
    while time.monotonic() < stop_at:
        stopping.check_stop_requested()
        lease.check()
        count = function()
        total += count
        if not count:
            break
    return total
