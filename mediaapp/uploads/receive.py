"""Receives uploads through the site, and starts the jobs of all uploads."""

import uuid
from pathlib import PurePath
from typing import Any, BinaryIO, cast
from wsgiref.types import WSGIEnvironment

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, close_old_connections, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from mediaapp.gateway.body import MAX_FORM_BYTES, MEMORY_BYTES
from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.uploads.filetypes import UploadRejected, detect_kind
from mediaapp.uploads.mapping import guess_import_arguments
from mediaapp.uploads.quota import check_quota
from workers import circuit_breaker, jobs
from workers.byte_format import format_bytes

MAX_BYTES_BY_KIND = {Upload.Kind.VIDEO: settings.MAX_VIDEO_BYTES, Upload.Kind.CSV: settings.MAX_CSV_BYTES}
MAX_BYTES: int = max(MAX_BYTES_BY_KIND.values())
# Without JavaScript a browser sends the file in one request, which a platform's router ends after 30 s.
MAX_BYTES_THROUGH_SITE = 16_000_000
SOURCE_NAME = "uploads/{}/source"  # name in default_storage, with the upload's id
REJECTIONS_KEY = "mediaapp.upload_problems"
TASK_BY_KIND = {
    Upload.Kind.VIDEO: "workers.video.tasks.transcode_video",
    Upload.Kind.CSV: "workers.highmem.tasks.import_catalogue",
}


def store_upload(owner: User, file: UploadedFile) -> Upload:
    """Raises UploadRejected as inspect_file() and check_quota() do; then nothing is stored."""
    size, content = file.size or 0, cast(BinaryIO, file)
    check_quota(owner, size)
    kind, import_arguments = inspect_file(owner, content, size)
    # The browser's file name is data, never a path.
    upload_id = uuid.uuid4()
    stored = default_storage.save(SOURCE_NAME.format(upload_id), file)
    try:
        upload = Upload(job_id=upload_id, owner=owner, kind=kind, name=clean_file_name(file.name), size=size)
        return create_upload(upload, import_arguments)
    except BaseException:
        default_storage.delete(stored)
        raise


def inspect_file(owner: User, file: BinaryIO, size: int) -> tuple[Upload.Kind, dict[str, Any]]:
    """The kind, and the import's arguments. Raises UploadRejected."""
    kind = detect_kind(file, size)
    if size > MAX_BYTES_BY_KIND[kind]:
        actual, limit = format_bytes(size), format_bytes(MAX_BYTES_BY_KIND[kind])
        raise UploadRejected(f"The file has {actual}; for a {kind} we take {limit} at most.")
    return kind, guess_import_arguments(owner.pk, file) if kind == Upload.Kind.CSV else {}


def create_upload(upload: Upload, import_arguments: dict[str, Any]) -> Upload:
    """Writes the Upload and its Job in one transaction, which publishes the task on commit.

    With the dialect None in `import_arguments`, the job waits until the owner confirms the mapping.
    """
    upload.file = SOURCE_NAME.format(upload.pk)
    arguments = {"source": upload.file, "table": CatalogueItem._meta.label} | import_arguments
    with transaction.atomic():
        jobs.create(
            TASK_BY_KIND[Upload.Kind(upload.kind)],
            job_id=upload.pk,
            owner_id=upload.owner_id,
            arguments=arguments,
            needs_mapping=import_arguments.get("dialect", {}) is None,
        )
        upload.save(force_insert=True)
    return upload


def clean_file_name(name: str | None) -> str:
    return PurePath("".join(filter(str.isprintable, name or ""))).name[-255:] or "unnamed"


def max_body_bytes(environ: WSGIEnvironment) -> int:
    """What the gateway may store of a request's larger body. 0: nothing, and the sender gets the view's answer."""
    request = WSGIRequest(environ)
    is_upload = request.path == reverse("upload")
    circuit_breaker.in_request.set(True)
    SessionMiddleware(lambda request: HttpResponse()).process_request(request)
    try:
        close_old_connections()
        is_user = get_user(request).is_authenticated
    except DatabaseError:  # the view says so
        return 0
    if not is_user:
        return 0 if is_upload else MEMORY_BYTES
    return MAX_FORM_BYTES + (max_bytes_through_site() if is_upload else 0)


def max_bytes_through_site() -> int:
    return min(MAX_BYTES, MAX_BYTES_THROUGH_SITE) if settings.S3_BUCKET else MAX_BYTES


class LimitedUploadHandler(FileUploadHandler):
    """Skips a file that is too large, and keeps a message for the response."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        max_bytes = max_bytes_through_site()
        if start + len(raw_data) <= max_bytes:
            return raw_data
        message = f"{self.file_name}: The file is larger than {format_bytes(max_bytes)}, the most that we take."
        cast(HttpRequest, self.request).META.setdefault(REJECTIONS_KEY, []).append(message)
        # Not StopUpload: Django then reads the rest line by line, and a file without line ends would fill the memory.
        raise SkipFile

    def file_complete(self, file_size: int) -> None:
        """None: the next handlers build the file."""

    @staticmethod
    def rejections_of(request: HttpRequest) -> list[str]:
        return list(request.META.get(REJECTIONS_KEY, []))
