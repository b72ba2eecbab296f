"""What keeps the house in order: jobs that nobody works on, and what is too old to keep."""

import logging
from datetime import timedelta

from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from workers import jobs
from workers.models import Job

log = logging.getLogger(__name__)

KEEP_MAILS = timedelta(days=1)


def sweep() -> int:
    """Sends every job that should be with the broker and is not. Returns how many it sent.

    Never published (the broker was away, or the web process died between commit and publish), waiting for its time,
    left by a dead worker, or forgotten by a broker that lost its messages.
    """
    buried = jobs.bury(jobs.orphans())
    if buried:
        log.warning("%s jobs of dead workers go back to their queues", buried)
    lost = jobs.unsent()
    try:
        lost += jobs.vanished()
    except (BrokerError, OSError) as error:
        log.warning("the broker did not say how much waits: %r", error)
    sent = 0
    for job in lost:
        if not jobs.publish(job):
            break  # the broker is away: the next sweep is soon enough
        sent += 1
    return sent


def delete_ended_mails() -> int:
    """Deletes the ended jobs that no page shows: password mails, and those asked for unknown addresses."""
    mails = Job.objects.filter(task="workers.default.tasks.send_password_reset", state__in=Job.FINAL)
    return mails.filter(finished_at__lt=timezone.now() - KEEP_MAILS).delete()[0]
