"""Deletes what is too old to keep."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string

from workers.models import Job, QueueSample
from workers.practices import backlog

log = logging.getLogger(__name__)

UNSEEN = ("workers.default.tasks.send_password_reset", "workers.default.tasks.delete_files")
KEEP_UNSEEN = timedelta(days=1)
CHUNK = 10_000  # rows of one DELETE


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
            log.exception("cleanup_failed cleanup=%s", name)
        else:
            log.info("cleanup_finished cleanup=%s count=%s", name, count)
