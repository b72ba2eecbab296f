"""Uploads a local file to a bucket. Readers see the whole file or nothing.

ReportingFile.read calls `report` between two parts, in the calling thread (`use_threads=False`), because `report` may
use the database. What it raises ends the upload and removes its parts. boto3 takes an exception of its `Callback` for a
lost connection (docs/facts/servers.md#boto3-uploads).
"""

import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from boto3.s3.transfer import TransferConfig
from django.core.files import File

from workers.storage.object_reader import as_os_errors

PART_BYTES = 8 * 1024**2  # S3 takes 10,000 parts of at least 5 MiB
TYPES = mimetypes.MimeTypes()  # Python's own: the table of a machine varies
UNKNOWN_TYPE = "application/octet-stream"
TRANSFER = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)


class ReportingFile(File):
    """Calls `report(position)` before boto3 reads the next part."""

    def __init__(self, file: IO[bytes], report: Callable[[int], None]) -> None:
        super().__init__(file)
        self._content = file
        self._report = report
        self._sent_bytes = 0

    def count(self, sent_bytes: int) -> None:
        """boto3's `Callback`; a negative number: the part is sent again."""
        self._sent_bytes += sent_bytes

    def read(self, size: int = -1) -> bytes:
        if size == PART_BYTES:
            position = self.tell()
            if self._sent_bytes < position:  # a part has failed, and boto3 reads on to the end of the file
                raise OSError(f"{self.name}: a part was not sent")
            self._report(position)
        return self._content.read(size)


def upload(client: Any, bucket: str, name: str, path: Path, report: Callable[[int], None]) -> None:
    """Replaces an earlier file. Raises OSError.

    report: called with the bytes so far; what it raises ends the upload.
    """
    with path.open("rb") as content, as_os_errors(name):
        file = ReportingFile(content, report)
        if file.size < PART_BYTES:
            report(0)
        content_type = TYPES.guess_type(name)[0] or UNKNOWN_TYPE
        options = {"ExtraArgs": {"ContentType": content_type}, "Callback": file.count, "Config": TRANSFER}
        client.upload_fileobj(file, bucket, name, **options)
