"""Takes over jobs whose worker was killed or whose message is lost.

A living worker renews its job's lock and reports progress. A running job without either is an orphan, once the server
of the locks has lost none for a lease.
"""

import logging
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from workers import error_fingerprint, log_context
from workers.brokers import BrokerUnavailableError
from workers.jobs import attempt_rows, outbox, user_messages
from workers.jobs.dispatch import NOT_DISPATCHED, publish_next
from workers.models import Job
from workers.practices import locks, progress
from workers.telemetry import lock_server

log = logging.getLogger(__name__)

MAX_CRASHES = 3  # workers that one job may kill
CRASHED = f"WorkerDied: its worker died in {MAX_CRASHES} attempts at the same checkpoint"


def sweep() -> int:
    """Returns how many jobs it published. Raises RedisError."""
    requeue_found_orphans()
    try:
        outbox.recall_lost_messages()
    except BrokerUnavailableError as error:
        log.warning("lost_messages_unknown error=%r", error)
    return outbox.publish_due()


def recover_orphans() -> None:
    """The leading beat calls it every few seconds. Only logs that a server is away."""
    try:
        if requeue_found_orphans():
            outbox.publish_due()
    except (RedisError, DatabaseError) as error:
        log.warning("orphans_unknown error=%r", error)


def requeue_found_orphans() -> int:
    """Returns how many. Raises RedisError."""
    requeued = requeue_or_fail_orphans(orphans())
    if requeued:
        log.warning("orphaned_jobs_requeued count=%s", requeued)
    return requeued


def requeue_or_fail_orphans(jobs: QuerySet[Job]) -> int:
    """Call it only for jobs of dead workers. Returns how many it requeued.

    Those that crashed too often fail, and the next jobs of their owners are published.
    """
    running = jobs.filter(state=Job.State.RUNNING)
    for job in running.filter(crash_count__gte=MAX_CRASHES - 1):
        if _fail(running.filter(pk=job.pk)):
            with log_context.bind_job(job.pk):
                log.warning("orphaned_job_failed queue=%s", job.queue)
            publish_next(job)
    queued = {"state": Job.State.QUEUED, "message": user_messages.WORKER_DIED, "crash_count": F("crash_count") + 1}
    return _update_with_attempts(running, **queued, **NOT_DISPATCHED)


def _fail(running: QuerySet[Job]) -> int:
    error = {"error": CRASHED, "error_fingerprint": error_fingerprint.fingerprint_text(CRASHED)}
    failed = {"state": Job.State.FAILED, "message": user_messages.CRASHED_TOO_OFTEN, "finished_at": timezone.now()}
    return _update_with_attempts(running, **failed, **error)


def _update_with_attempts(running: QuerySet[Job], **fields: Any) -> int:
    """Ends the attempts of the jobs that it changes as lost."""
    with transaction.atomic():
        dead = list(running.select_for_update().order_by("pk").values_list("pk", flat=True))
        attempt_rows.end_lost(dead, message=fields["message"], ended_at=fields.get("finished_at") or timezone.now())
        return Job.objects.filter(pk__in=dead).update(**fields)


def withdraw_crash(job_id: Any, attempt: int) -> None:
    """For an attempt that was taken for dead, and lives."""
    charged = Job.objects.filter(pk=job_id, attempt__in=(attempt, attempt + 1), crash_count__gt=0)
    charged.exclude(state__in=Job.FINAL).update(crash_count=F("crash_count") - 1)


def orphans() -> QuerySet[Job]:
    """Raises RedisError."""
    lock_server.watch_locks(max_gap_seconds=settings.JOB_LEASE)
    running = Job.objects.filter(state=Job.State.RUNNING).values_list("pk", "attempt")
    orphaned = [
        Q(pk=pk, attempt=attempt) for pk, attempt in running if not locks.is_held(f"job:{pk}") and is_silent(pk)
    ]
    return Job.objects.filter(Q(*orphaned, _connector=Q.OR)) if orphaned else Job.objects.none()


def is_silent(job_id: object) -> bool:
    """Whether a job whose lock nobody holds is dead. False if that may be the fault of the locks' server.

    Raises RedisError.
    """
    lease = settings.JOB_LEASE
    return lock_server.seconds_without_loss() >= lease and progress.read(job_id, max_age=lease) is None
