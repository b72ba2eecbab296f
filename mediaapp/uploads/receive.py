"""start(): the one place where a job starts, for a file that came through the site or straight to the storage."""

import uuid
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.db import transaction
from django.http import HttpRequest

from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.templatetags import words
from mediaapp.uploads.filetypes import Kind, UploadRejected, sniff
from mediaapp.uploads.mapping import first_look
from workers import jobs

MAX_BYTES_BY_KIND = {Kind.VIDEO: settings.MAX_VIDEO_BYTES, Kind.CSV: settings.MAX_CSV_BYTES}
MAX_BYTES: int = max(MAX_BYTES_BY_KIND.values())
MAX_BYTES_THROUGH_SITE = 16_000_000  # bytes; a router gives the request of a browser without JavaScript 30 s
FILE = "uploads/{}/source"  # in default_storage, by the upload's id
PROBLEMS = "mediaapp.upload_problems"
TASKS = {
    Kind.VIDEO: "workers.video.tasks.transcode_video",
    Kind.CSV: "workers.highmem.tasks.import_catalogue",
}


def receive(owner: User, file: UploadedFile) -> Upload:
    """Stores a file that came through the site, and starts its job. Raises UploadRejected as examine() does."""
    size, content = file.size or 0, cast(BinaryIO, file)
    kind, told = examine(owner, content, size)
    # The owner's name of the file is data, never a path; a folder of its own keeps what is made from it together.
    upload_id = uuid.uuid4()
    stored = default_storage.save(FILE.format(upload_id), file)
    try:
        return start(Upload(job_id=upload_id, owner=owner, kind=kind, name=plain_name(file.name), size=size), told)
    except BaseException:
        default_storage.delete(stored)
        raise


def examine(owner: User, file: BinaryIO, size: int) -> tuple[Kind, dict[str, Any]]:
    """What a file is, from some pieces of it, and what its import is told: first_look().

    Raises UploadRejected, with words for people, for what is neither a video nor a CSV, empty, cut off or too large.
    """
    kind = sniff(file, size)
    if size > MAX_BYTES_BY_KIND[kind]:
        raise UploadRejected(
            f"The file has {words.size(size)}; for a {kind} we take {words.size(MAX_BYTES_BY_KIND[kind])} at most."
        )
    return kind, first_look(owner.pk, file) if kind == Kind.CSV else {}


def start(upload: Upload, told: dict[str, Any]) -> Upload:
    """Writes the Upload of a stored file and its Job in one transaction; the task is published on commit.

    A CSV whose columns or numbers may mean several things waits for its owner's word instead. told: by examine().
    """
    upload.file = FILE.format(upload.pk)
    arguments = {"source": upload.file, "table": CatalogueItem._meta.label} | told
    asks = told.get("dialect", {}) is None
    with transaction.atomic():
        jobs.create(
            TASKS[Kind(upload.kind)],
            job_id=upload.pk,
            owner_id=upload.owner_id,
            arguments=arguments,
            needs_mapping=asks,
        )
        upload.save(force_insert=True)
    return upload


def plain_name(name: str | None) -> str:
    """The last part of what a browser calls a file, without what no page could show."""
    return PurePath("".join(filter(str.isprintable, name or ""))).name[-255:] or "unnamed"


def most_through_site() -> int:
    """The bytes of the largest file that comes through the site: beside a bucket, it keeps none on its own disk."""
    return min(MAX_BYTES, MAX_BYTES_THROUGH_SITE) if settings.S3_BUCKET else MAX_BYTES


class LimitedUploadHandler(FileUploadHandler):
    """Drops a file that is larger than any kind may be, and remembers why, so that the answer has words."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        most = most_through_site()
        if start + len(raw_data) <= most:
            return raw_data
        sentence = f"{self.file_name}: The file is larger than {words.size(most)}, the most that we take."
        cast(HttpRequest, self.request).META.setdefault(PROBLEMS, []).append(sentence)
        # Not StopUpload: it reads what is left line by line, and a file without a line end would come into memory.
        raise SkipFile

    def file_complete(self, file_size: int) -> None:
        """Left to the handlers behind this one."""

    @staticmethod
    def problems_of(request: HttpRequest) -> list[str]:
        """Sentences about the files that were dropped."""
        return list(request.META.get(PROBLEMS, []))
