"""Deletes what is too old of the site (docs/retention.md), for settings.CLEAN_UPS.

Each function deletes one chunk and returns how many: 0 once nothing is left. What a page offers, it offers until
Upload.source_kept_until; afterwards it says what is gone.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from mediaapp.models import ActionEntry, ColumnMapping, Upload
from workers import jobs
from workers.models import Job

SOURCE_DELETED_MESSAGE = "Nothing was done: we no longer have the file as you sent it. Upload it once more."
CHUNK = 500
MIN_ACTION_DAYS = 31  # by the trigger of the table
CHUNK_OF_JOBS = 20  # with their uploads, reports and deletions of files


def cancel_unconfirmed() -> int:
    """Imports whose owners did not confirm the mapping: their files would stay for ever."""
    return jobs.cancel_unconfirmed(days_ago(settings.KEEP_SOURCES_DAYS), CHUNK)


def delete_old_sources() -> int:
    """The file as it was sent, and the rejected rows. The result of a video stays.

    A job deletes the file, because the storage may be away. A retry in the same moment waits for the row, and then
    fails with words.
    """
    oldest = days_ago(settings.KEEP_SOURCES_DAYS)
    old = Upload.objects.filter(source_deleted_at=None, created_at__lt=oldest, job__finished_at__lt=oldest)
    with transaction.atomic():
        locked = old.select_related("job").select_for_update(of=("self", "job"), skip_locked=True)
        upload = locked.filter(job__state__in=Job.FINAL).order_by("created_at").first()
        if upload is None:
            return 0
        upload.job.rejected_rows.all().delete()
        delete_later(file=upload.file)
        upload.source_deleted_at = timezone.now()
        upload.save(update_fields=["source_deleted_at"])
    return 1


def delete_old_uploads() -> int:
    """Uploads of which nothing is left: imports, and what failed or was cancelled. A finished video stays."""
    gone = Job.objects.filter(upload__source_deleted_at__isnull=False, state__in=Job.FINAL)
    old = gone.filter(finished_at__lt=days_ago(settings.KEEP_JOBS_DAYS))
    without_result = old.exclude(upload__kind=Upload.Kind.VIDEO, state=Job.State.DONE).order_by("finished_at")
    chunk = list(without_result.values_list("pk", flat=True)[:CHUNK_OF_JOBS])
    Job.objects.filter(Q(pk__in=chunk) | Q(report__upload__in=chunk)).delete()
    return len(chunk)


def delete_expired_sessions() -> int:
    return delete_chunk(Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date"))


def delete_old_mappings() -> int:
    """Column mappings that nobody confirmed again: the next such file asks once more."""
    return delete_chunk(ColumnMapping.objects.filter(confirmed_at__lt=days_ago(settings.KEEP_JOBS_DAYS)))


def delete_old_admin_log() -> int:
    return delete_chunk(LogEntry.objects.filter(action_time__lt=days_ago(settings.KEEP_JOBS_DAYS)))


def delete_old_actions() -> int:
    """The database refuses to delete an entry of the last 30 days: a shorter KEEP_JOBS_DAYS does not hold for it."""
    days = max(settings.KEEP_JOBS_DAYS, MIN_ACTION_DAYS)
    return delete_chunk(ActionEntry.objects.filter(at__lt=days_ago(days)).order_by("at"))


def delete_later(**arguments: str) -> None:
    """arguments: of cleanup.delete_files()."""
    jobs.create("workers.highmem.tasks.delete_files", owner_id=None, arguments=arguments, publish_now=False)


def delete_chunk(old: QuerySet[Model]) -> int:
    return old.model._default_manager.filter(pk__in=list(old.values_list("pk", flat=True)[:CHUNK])).delete()[0]


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)
