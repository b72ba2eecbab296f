"""The storage's files as files of this machine, for the time that a job works on them.

On a disk that the site and its workers share nothing is copied: a file is read, and a result made, in its place. A
bucket's file is copied into SCRATCH_DIR first, and what was made of it is stored when the work is done. All workers of
a machine may share the folder; together they fill it to SCRATCH_BYTES. In it each job has a folder, which is locked
while its process lives: one without a lock is of a process that was killed, and the next job removes it.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import IO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

from workers.jobs import RetryLater
from workers.storage import multipart

log = logging.getLogger(__name__)
Report = Callable[..., None]

PREFIX = "mediaapp-job-"  # nothing else in SCRATCH_DIR is ours to remove
BLOCK = 256 * 1024  # bytes between two reports of a copy: at 100 kB/s a cancel is heard within 3 s
PAUSE, LONGEST_PAUSE = 15, 600  # seconds
PAUSES = (1, 2, 4, 8, 15)  # seconds between the tries to store a result, which may be hours of work
FETCHING, STORING = "fetching the file", "storing the result"
AWAY = "Waiting for our storage of files, which does not answer."
NO_ROOM = "Waiting for room: its worker has other large files at the moment."
GONE = "The file is no longer there. Upload it again."
TOO_LARGE = "This file has {}, and our workers have room for {}. Upload a smaller one, or a part of it."
GREW = "What was made of this took more than the {} of room that its worker has, so it was stopped. Try a smaller one."


class WorkspaceError(Exception):
    """No worker can do it, now or later. sentence: for people."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class LocalWorkspace:
    """Where a job works when the storage is a disk of this machine."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def fetch(self, name: str) -> Path:
        """Where the stored file is. Raises WorkspaceError."""
        path = Path(default_storage.path(name))
        if not path.exists():
            raise WorkspaceError(GONE)
        return path

    def results(self, folder: str) -> Path:
        """A folder of the storage. An engine makes each file elsewhere and renames it when it is whole."""
        return Path(default_storage.path(folder))


class RemoteWorkspace:
    """Where a job works when the storage is a bucket. `report` is the job's, and keeps what is made within bounds."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._tell = report
        self._stored_in = ""

    def report(self, done: float, total: float, stage: str, **figures: int) -> None:
        """The job's. Raises WorkspaceError, or RetryLater where it is others who take the room."""
        self._tell(done, total, stage, **figures)
        if _used(self._folder) > settings.SCRATCH_BYTES:
            raise WorkspaceError(GREW.format(_amount(settings.SCRATCH_BYTES)))
        if _used(self._folder.parent) > settings.SCRATCH_BYTES:
            raise RetryLater(PAUSE, NO_ROOM)

    def fetch(self, name: str) -> Path:
        """A copy of the stored file. Raises RetryLater, or WorkspaceError (unread) if it does not fit."""
        target = self._folder / "source"
        with waiting_for_storage():
            try:
                source = default_storage.open(name)
            except FileNotFoundError:
                raise WorkspaceError(GONE) from None
            with source, target.open("wb") as copy:
                self._reserve(copy.fileno(), source.size)
                self._copy(source, copy)
        return target

    def _copy(self, source: File, copy: IO[bytes]) -> None:
        at = broken_at = 0
        while at < source.size:
            self._tell(at, source.size, FETCHING)
            try:
                block = source.read(BLOCK)
            except OSError:
                if at == broken_at:
                    raise
                broken_at = at  # a connection that brought something is worth another one
                source.seek(at)
                continue
            if not block:
                raise OSError(f"{source.name} ended after {at} of {source.size} bytes")
            copy.write(block)
            at += len(block)

    def results(self, folder: str) -> Path:
        """An empty folder. The files that are in it when the block ends well are stored in that one of the storage."""
        self._stored_in = folder
        made = self._folder / "results"
        made.mkdir()
        return made

    def store(self) -> None:
        """Puts the results into the storage, over those of an earlier attempt. Raises RetryLater."""
        files = [file for file in sorted((self._folder / "results").glob("*")) if file.is_file()]
        total, before = sum(file.stat().st_size for file in files), 0
        for file in files:
            self._store(file, partial(self._tell_stored, before, total))
            before += file.stat().st_size

    def _store(self, file: Path, tell: Callable[[int], None]) -> None:
        for pause in PAUSES:
            with suppress(RetryLater), waiting_for_storage():
                multipart.store(file, f"{self._stored_in}/{file.name}", tell)
                return
            for _ in range(pause):
                tell(0)
                time.sleep(1)
        with waiting_for_storage():
            multipart.store(file, f"{self._stored_in}/{file.name}", tell)

    def _tell_stored(self, before: int, total: int, done: int) -> None:
        self._tell(before + done, total, STORING)

    def _reserve(self, copy: int, size: int) -> None:
        if size > settings.SCRATCH_BYTES:
            raise WorkspaceError(TOO_LARGE.format(_amount(size), _amount(settings.SCRATCH_BYTES)))
        with _alone(self._folder.parent):
            if _used(self._folder.parent) + size > settings.SCRATCH_BYTES:
                raise RetryLater(PAUSE, NO_ROOM)
            try:
                os.posix_fallocate(copy, 0, size or 1)
            except OSError as error:
                raise RetryLater(PAUSE, NO_ROOM) from error


@contextmanager
def open_workspace(report: Report) -> Iterator[LocalWorkspace | RemoteWorkspace]:
    """Where a job reads and makes files while the block runs. What it made in `results` is stored if it ends well.

    report(done, total, stage): the job's; called while files are copied too, in bytes. What it raises ends that.
    """
    if isinstance(default_storage, FileSystemStorage):
        yield LocalWorkspace(report)
        return
    with _own_folder() as folder:
        copies = RemoteWorkspace(folder, report)
        yield copies
        copies.store()


@contextmanager
def _own_folder() -> Iterator[Path]:
    root = Path(settings.SCRATCH_DIR)
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        for left in root.glob(f"{PREFIX}*"):
            _remove_unless_locked(left)
        folder = Path(mkdtemp(prefix=PREFIX, dir=root))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_unless_locked(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # its job has just ended
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        log.warning("abandoned_workspace_removed folder=%s", folder)
        rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """No other process makes a folder or reserves room there meanwhile."""
    lock = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def waiting_for_storage(tries: int = 1) -> Iterator[None]:
    """Around questions to the storage. Raises RetryLater where it does not answer, or not as it should.

    tries: how often a job that nobody waits for has come already; the pause doubles with it.
    """
    try:
        yield
    except OSError as error:
        log.warning("storage_unavailable error=%r", error)
        raise RetryLater(min(LONGEST_PAUSE, PAUSE * 2 ** min(tries - 1, 10)), AWAY) from error


def _used(folder: Path) -> int:
    """Bytes of all files in there, those that are still to be copied included."""
    used = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                used += Path(parent, name).stat().st_size
    return used


def _amount(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
