"""Gives a job the storage's files as local files."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

from workers.byte_format import format_bytes
from workers.jobs import RetryLater, user_messages
from workers.storage import scratch
from workers.storage.errors import StorageRefusedError

if TYPE_CHECKING:
    from workers.storage.object_storage import ObjectStorage  # large: docs/facts/servers.md#boto3

log = logging.getLogger(__name__)
ReportProgress = Callable[..., None]

BLOCK_BYTES = 256 * 1024  # between two reports of a copy: at 100 kB/s a cancel ends it within 3 s
RETRY_SECONDS, MAX_RETRY_SECONDS = 15, 600
UPLOAD_RETRY_SECONDS = (1, 2, 4, 8, 15)  # results may be hours of work
STORING = "storing the result"
STORAGE_AWAY = "Waiting for our storage of files, which does not answer."
NO_ROOM = "Waiting for room: its worker has other large files at the moment."
FILE_GONE = "The file is no longer there. Upload it again."
FILE_TOO_LARGE = "This file has {}, and our workers have room for {}. Upload a smaller one, or a part of it."
RESULTS_TOO_LARGE = (
    "What was made of this took more than the {} of room that its worker has, so it was stopped. Try a smaller one."
)


class WorkspaceError(Exception):
    """No worker can do the work. sentence: shown to the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class LocalWorkspace:
    """For a storage on a disk of this machine."""

    def __init__(self, report: ReportProgress) -> None:
        self.report = report

    def fetch(self, name: str) -> Path:
        """Raises WorkspaceError."""
        path = Path(default_storage.path(name))
        if not path.exists():
            raise WorkspaceError(FILE_GONE)
        return path

    def results_folder(self, name: str) -> Path:
        """An engine must rename a file into it once the file is complete."""
        return Path(default_storage.path(name))


class RemoteWorkspace:
    """For a storage in a bucket."""

    def __init__(self, folder: Path, report: ReportProgress) -> None:
        self._folder = folder
        self._report = report
        self._results = folder / "results"
        self._target = ""

    def report(self, done: float, total: float, stage: str, **figures: int) -> None:
        """Raises WorkspaceError if the results are too large, RetryLater if other jobs use the room."""
        self._report(done, total, stage, **figures)
        if scratch.used_bytes(self._folder) > settings.SCRATCH_BYTES:
            raise WorkspaceError(RESULTS_TOO_LARGE.format(format_bytes(settings.SCRATCH_BYTES)))
        if scratch.used_bytes(self._folder.parent) > settings.SCRATCH_BYTES:
            raise RetryLater(RETRY_SECONDS, NO_ROOM)

    def fetch(self, name: str) -> Path:
        """Raises RetryLater or WorkspaceError. A file that is too large is not copied at all."""
        target = self._folder / "source"
        with retry_if_storage_is_away():
            try:
                source = default_storage.open(name)
            except FileNotFoundError:
                raise WorkspaceError(FILE_GONE) from None
            with source, target.open("wb") as copy:
                if source.size > settings.SCRATCH_BYTES:
                    raise WorkspaceError(
                        FILE_TOO_LARGE.format(format_bytes(source.size), format_bytes(settings.SCRATCH_BYTES))
                    )
                if not scratch.reserve(copy, source.size):
                    raise RetryLater(RETRY_SECONDS, NO_ROOM)
                self._copy(source, copy)
        return target

    def _copy(self, source: File, copy: IO[bytes]) -> None:
        position = failed_at = 0
        while position < source.size:
            self._report(position, source.size, user_messages.FETCHING)
            try:
                block = source.read(BLOCK_BYTES)
            except OSError:
                if position == failed_at:  # the last connection brought nothing
                    raise
                failed_at = position
                source.seek(position)
                continue
            if not block:
                raise OSError(f"{source.name} ended after {position} of {source.size} bytes")
            copy.write(block)
            position += len(block)

    def results_folder(self, name: str) -> Path:
        """Its files are uploaded to the storage's folder `name`."""
        self._target = name
        self._results.mkdir()
        return self._results

    def upload_results(self) -> None:
        """Replaces the results of an earlier attempt. Raises RetryLater."""
        files = [file for file in sorted(self._results.glob("*")) if file.is_file()]
        total, before = sum(file.stat().st_size for file in files), 0
        for file in files:
            self._upload(file, partial(self._report_upload, before, total))
            before += file.stat().st_size

    def _upload(self, file: Path, report: Callable[[int], None]) -> None:
        upload = partial(cast("ObjectStorage", default_storage).upload, file, f"{self._target}/{file.name}", report)
        for pause in UPLOAD_RETRY_SECONDS:
            with suppress(RetryLater), retry_if_storage_is_away():
                upload()
                return
            for _ in range(pause):
                report(0)
                time.sleep(1)
        with retry_if_storage_is_away():
            upload()

    def _report_upload(self, before: int, total: int, done: int) -> None:
        self._report(before + done, total, STORING)


@contextmanager
def open_workspace(report: ReportProgress) -> Iterator[LocalWorkspace | RemoteWorkspace]:
    """Uploads the results to a bucket when the block ends without an exception.

    report: also called during copies, with bytes; what it raises ends them.
    """
    if isinstance(default_storage, FileSystemStorage):
        yield LocalWorkspace(report)
        return
    with scratch.open_scratch_folder() as folder:
        workspace = RemoteWorkspace(folder, report)
        yield workspace
        workspace.upload_results()


@contextmanager
def retry_if_storage_is_away(attempt: int = 1) -> Iterator[None]:
    """Raises RetryLater for an OSError of the block, whose pause doubles with each attempt.

    Raises WorkspaceError for a StorageRefusedError.
    """
    try:
        yield
    except StorageRefusedError as error:
        log.error("storage_refused error=%r", str(error))
        raise WorkspaceError(user_messages.STORAGE_REFUSED) from error
    except OSError as error:
        log.warning("storage_unavailable error=%r", error)
        raise RetryLater(min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2 ** min(attempt - 1, 10)), STORAGE_AWAY) from error
