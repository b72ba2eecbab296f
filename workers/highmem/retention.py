"""Deletes old jobs that no page shows, and calls the site's CLEAN_UPS."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string

from workers.models import Job

log = logging.getLogger(__name__)

HIDDEN_TASKS = (
    "workers.default.tasks.send_password_reset",
    "workers.default.tasks.delete_files",
    "workers.highmem.tasks.delete_files",
)
KEEP_HIDDEN_JOBS = timedelta(days=1)


def delete_hidden_jobs() -> int:
    hidden = Job.objects.filter(task__in=HIDDEN_TASKS, state__in=Job.FINAL)
    return hidden.filter(finished_at__lt=timezone.now() - KEEP_HIDDEN_JOBS).delete()[0]


def run_site_cleanups() -> None:
    """An OSError or a DatabaseError of one function does not stop the others."""
    for name in settings.CLEAN_UPS:
        try:
            count = import_string(name)()
        except (OSError, DatabaseError):
            log.exception("cleanup_failed cleanup=%s", name)
        else:
            log.info("cleanup_finished cleanup=%s count=%s", name, count)
