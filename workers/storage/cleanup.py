"""Deletes files that nobody needs."""

import time
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.utils import timezone

KEEP_UPLOADS = timedelta(days=1)  # that never arrived whole
CHUNK = 20


def delete_files(folder: str = "", file: str = "") -> None:
    """One of both. Raises OSError; ValueError as delete_folder() does."""
    if not file:
        delete_folder(folder)
        return
    default_storage.delete(file)
    if isinstance(default_storage, FileSystemStorage):
        with suppress(OSError):  # other files are in it
            Path(default_storage.path(file)).parent.rmdir()


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
    """Aborts some multipart uploads that are older than KEEP_UPLOADS. Returns how many. Raises OSError."""
    if not settings.S3_BUCKET:
        return 0
    bucket: Any = default_storage
    old = list(islice(bucket.list_multipart_before(timezone.now() - KEEP_UPLOADS), CHUNK))
    for name, parts_id in old:
        with suppress(FileNotFoundError):
            bucket.abort_multipart(name, parts_id)
    return len(old)
