"""Deletes files that nobody needs."""

import logging
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.utils import timezone

log = logging.getLogger(__name__)

KEEP_UPLOADS = timedelta(days=1)  # that never arrived whole
PARTS_SECONDS = 5


def delete_folder(folder: str) -> None:
    """Raises OSError; ValueError for a top-level folder, which holds the files of others too."""
    if "/" not in folder:
        raise ValueError(f"{folder} holds the files of others too")
    if isinstance(default_storage, FileSystemStorage):
        rmtree(default_storage.path(folder), ignore_errors=True)
        return
    for name in default_storage.listdir(folder)[1]:
        default_storage.delete(f"{folder}/{name}")


def delete_broken_uploads() -> int:
    """Deletes temporary files that are older than KEEP_UPLOADS. Returns how many."""
    oldest = time.time() - KEEP_UPLOADS.total_seconds()
    files = [file for file in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir() if file.stat().st_mtime < oldest]
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def abort_old_multipart() -> int:
    """Aborts multipart uploads that are older than KEEP_UPLOADS, for PARTS_SECONDS at most. Returns how many."""
    if not settings.S3_BUCKET:
        return 0
    bucket: Any = default_storage
    stop, count = time.monotonic() + PARTS_SECONDS, 0
    try:
        for name, parts_id in bucket.list_multipart_before(timezone.now() - KEEP_UPLOADS):
            with suppress(FileNotFoundError):
                bucket.abort_multipart(name, parts_id)
            count += 1
            if time.monotonic() > stop:
                break
    except OSError as error:
        log.warning("old_parts_not_deleted error=%r", error)
    return count
