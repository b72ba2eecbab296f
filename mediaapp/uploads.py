"""receive(): the one place where a file comes in and its job starts."""

import uuid
from pathlib import PurePath
from typing import BinaryIO, cast

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.db import transaction
from django.http import HttpRequest

from mediaapp.filetypes import Kind, Refused, sniff
from mediaapp.mapping import first_look
from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.templatetags import words
from workers import jobs

LIMITS = {Kind.VIDEO: settings.MAX_VIDEO_BYTES, Kind.CSV: settings.MAX_CSV_BYTES}
MOST = max(LIMITS.values())
PROBLEMS = "mediaapp.upload_problems"
TASKS = {
    Kind.VIDEO: "workers.video.tasks.transcode_video",
    Kind.CSV: "workers.highmem.tasks.import_catalogue",
}


def receive(owner: User, file: UploadedFile) -> Upload:
    """Stores a file and writes its Upload and its Job in one transaction; the task is published on commit.

    A CSV whose columns or numbers may mean several things waits for its owner's word instead. Raises Refused,
    with words for people, for what is neither a video nor a CSV, empty, cut off or too large.
    """
    size = file.size or 0
    kind = sniff(cast(BinaryIO, file), size)
    if size > LIMITS[kind]:
        raise Refused(f"The file has {words.size(size)}; for a {kind} we take {words.size(LIMITS[kind])} at most.")
    looked = first_look(owner.pk, cast(BinaryIO, file)) if kind == Kind.CSV else {}
    # The owner's name of the file is data, never a path; a folder of its own keeps what is made from it together.
    stored = default_storage.save(f"uploads/{uuid.uuid4()}/source", file)
    try:
        with transaction.atomic():
            arguments = {"source": stored, "table": CatalogueItem._meta.label} | looked
            asks = looked.get("dialect", {}) is None
            job = jobs.create(TASKS[kind], owner_id=owner.pk, arguments=arguments, needs_mapping=asks)
            name = PurePath(file.name or "").name[-255:] or "unnamed"
            return Upload.objects.create(job=job, owner=owner, kind=kind, name=name, file=stored, size=size)
    except BaseException:
        default_storage.delete(stored)
        raise


class LimitedUploadHandler(FileUploadHandler):
    """Drops a file that is larger than any kind may be, and remembers why, so that the answer has words."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if start + len(raw_data) <= MOST:
            return raw_data
        sentence = f"{self.file_name}: The file is larger than {words.size(MOST)}, the most that we take."
        cast(HttpRequest, self.request).META.setdefault(PROBLEMS, []).append(sentence)
        # Not StopUpload: it reads what is left line by line, and a file without a line end would come into memory.
        raise SkipFile

    def file_complete(self, file_size: int) -> None:
        """Left to the handlers behind this one."""

    @staticmethod
    def problems_of(request: HttpRequest) -> list[str]:
        """Sentences about the files that were dropped."""
        return list(request.META.get(PROBLEMS, []))
