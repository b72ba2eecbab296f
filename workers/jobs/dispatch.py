"""Sends a job's message. The row is the outbox: `dispatched_at` is set once the broker took the message.

It may arrive twice, late or never: the claim (execution.py) makes a second delivery a no-op, and the sweep
(recovery.py) sends a lost one again.
"""

import logging
from typing import Any

from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from workers import log_context
from workers.models import Job
from workers.runtime import publishing

log = logging.getLogger(__name__)

NOT_DISPATCHED: dict[str, Any] = {"dispatched_at": None, "not_before": None}


def publish(job: Job) -> bool:
    """False if the broker is away or the queue is full: the sweep publishes the job later."""
    with log_context.bind_job(job.id):
        try:
            publishing.publish(job.task, str(job.id), job.queue)
        except (BrokerError, OSError) as error:
            # The cause: kombu's error has only its text, and a timeout of amqp has none.
            log.warning("job_not_published queue=%s error=%r", job.queue, error.__cause__ or error)
            return False
        log.info("job_published queue=%s", job.queue)
    Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).update(dispatched_at=timezone.now())
    return True
