"""What keeps the house in order: jobs that nobody works on, and what is too old to keep."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string

from workers import jobs
from workers.brokers import NoAnswer
from workers.models import Job, QueueSample
from workers.practices import backlog

log = logging.getLogger(__name__)

UNSEEN = ("workers.default.tasks.send_password_reset", "workers.default.tasks.delete_files")
KEEP_UNSEEN = timedelta(days=1)
CHUNK = 10_000  # rows of one DELETE


def sweep() -> int:
    """Sends every job that should be with the broker and is not. Returns how many it sent.

    Never published (the broker was away, or the web process died between commit and publish), waiting for its time,
    left by a dead worker, or forgotten by a broker that lost its messages.
    """
    buried = jobs.requeue_or_fail_orphans(jobs.orphans())
    if buried:
        log.warning("%s jobs of dead workers go back to their queues", buried)
    lost = jobs.undispatched()
    try:
        lost += jobs.lost_messages()
    except NoAnswer as error:
        log.warning("the broker did not say how much waits: %r", error)
    sent = 0
    for job in lost:
        if not jobs.publish(job):
            break  # the broker is away: the next sweep is soon enough
        sent += 1
    return sent


def delete_unseen_jobs() -> int:
    """Deletes the ended jobs that no page shows: password mails, those asked for unknown addresses too, deletions."""
    unseen = Job.objects.filter(task__in=UNSEEN, state__in=Job.FINAL)
    return unseen.filter(finished_at__lt=timezone.now() - KEEP_UNSEEN).delete()[0]


def delete_old_samples() -> int:
    """Deletes the samples of the queues that are too old to keep, in chunks. Returns how many."""
    old = QueueSample.objects.filter(taken_at__lt=timezone.now() - backlog.KEEP).values_list("pk", flat=True)
    deleted = 0
    while chunk := list(old[:CHUNK]):
        deleted += QueueSample.objects.filter(pk__in=chunk).delete()[0]
    return deleted


def clean_up_the_site() -> None:
    """Calls what the site has to delete (CLEAN_UPS in the settings). One that fails keeps no other one back."""
    for name in settings.CLEAN_UPS:
        try:
            count = import_string(name)()
        except (OSError, DatabaseError):
            log.exception("%s was broken off; the next night goes on with it", name)
        else:
            log.info("%s: %s", name, count)
