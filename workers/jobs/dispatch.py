"""Sends a job's message. The row is the outbox: `dispatched_at` is set once the broker took the message.

It may arrive twice, late or never: the claim (execution.py) makes a second delivery a no-op, and the sweep
(recovery.py) sends a lost one again. Each message has the row's `dispatch_number`: when the row needs a new message,
the number grows, and its older messages do nothing. Otherwise they would run it out of its owner's turn.
"""

import logging
from typing import Any

from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from workers import log_context
from workers.circuit_breaker import in_request
from workers.jobs import turns, user_messages
from workers.models import Job
from workers.queues import table
from workers.runtime import publishing

log = logging.getLogger(__name__)

# For an UPDATE of a row that needs a new message.
NOT_DISPATCHED: dict[str, Any] = {"dispatched_at": None, "dispatch_number": F("dispatch_number") + 1}


def publish(job: Job) -> bool:
    """False if the broker is away or the queue is full: the sweep publishes the job later.

    job: as read from the database, because its `dispatch_number` fences the stamp. A worker may have had the message
    and given the job back before this process stamps the row, which then needs another message.
    """
    with log_context.bind_job(job.id, request=_request_of(job)):
        try:
            publishing.publish(job.task, str(job.id), job.queue, job.dispatch_number)
        except (BrokerError, OSError) as error:
            # The cause: kombu's error has only its text, and a timeout of amqp has none.
            log.warning("job_not_published queue=%s error=%r", job.queue, error.__cause__ or error)
            return False
        log.info("job_published queue=%s", job.queue)
    same = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED, dispatch_number=job.dispatch_number)
    same.update(dispatched_at=timezone.now())
    return True


def _request_of(job: Job) -> str:
    """Empty in a request and in the job's own run, whose id the message takes. Else a run of another one sends it."""
    is_of_the_click = in_request.get() or log_context.job_id.get() == str(job.pk)
    return "" if is_of_the_click else job.request_id


def publish_next(job: Job) -> None:
    """Publishes the job if it is due. In a queue with turns, the next one of its owner, if it is the owner's turn."""
    queue = table().queues[job.queue]
    chosen = {"owner": job.owner_id} if queue.in_turns and job.owner_id else {"pk": job.pk}
    for due in turns.due(queue, **chosen)[:1]:
        publish(due)


def wake_writer(queue: str) -> None:
    """Publishes the oldest job that found all writers at work, before its pause has ended."""
    waiting = Job.objects.filter(queue=queue, state=Job.State.QUEUED, message=user_messages.WAITING_FOR_WRITERS)
    oldest = waiting.filter(dispatched_at=None).order_by("queued_at").first()
    if oldest and waiting.filter(pk=oldest.pk).update(not_before=None):
        publish_next(oldest)
