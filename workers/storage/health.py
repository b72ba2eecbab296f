"""Whether the storage serves the site: a finding for staff, beside those of the nine practices."""

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError
from django.utils import timezone

from workers.jobs import user_messages
from workers.models import Job
from workers.practices import Finding
from workers.storage.errors import StorageRefusedError

if TYPE_CHECKING:
    from workers.storage.object_storage import ObjectStorage

RUNBOOK = "docs/runbooks/storage.md"
REPAIR = (
    "Compare S3_BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the key's rights with docs/deploy.md,"
    " and run `manage.py prepare_storage`."
)


def verify() -> Finding:
    """ok while the bucket answers and no job of the last day failed because the storage refused."""
    if not settings.S3_BUCKET:
        return Finding(True, "on the disk of this machine")
    summary, refusal = f"the bucket {settings.S3_BUCKET}", ""
    try:
        refused = count_refused_jobs()
        cast("ObjectStorage", default_storage).require_bucket()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    except StorageRefusedError as error:
        refusal = f"{error} "
    except OSError as error:
        return Finding(None, "unknown", str(error))
    if not (refusal or refused):
        return Finding(True, summary)
    jobs = f"{refused} job{'' if refused == 1 else 's'}"
    reason = f"{refusal}In the last day {jobs} failed or waited because the storage refused. {REPAIR}"
    return Finding(False, summary, reason)


def count_refused_jobs() -> int:
    """Failed in the last day, or waiting (deletions). Raises DatabaseError."""
    refused = Job.objects.filter(message=user_messages.STORAGE_REFUSED)
    failed = refused.filter(state=Job.State.FAILED, finished_at__gt=timezone.now() - timedelta(days=1))
    return failed.count() + refused.filter(state=Job.State.QUEUED).count()
