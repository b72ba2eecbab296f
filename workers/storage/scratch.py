"""A folder for each job in SCRATCH_DIR. All workers of a machine together use SCRATCH_BYTES at most.

A process locks the folder of its job. The next job on this machine removes folders without a lock.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import IO

from django.conf import settings

log = logging.getLogger(__name__)

PREFIX = "mediaapp-job-"  # nothing else in SCRATCH_DIR is ours to remove


@contextmanager
def open_scratch_folder() -> Iterator[Path]:
    root = Path(settings.SCRATCH_DIR)
    root.mkdir(parents=True, exist_ok=True)
    with _exclusive(root):
        for folder in root.glob(f"{PREFIX}*"):
            _remove_unless_locked(folder)
        folder = Path(mkdtemp(prefix=PREFIX, dir=root))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        os.close(lock)


def reserve(file: IO[bytes], size: int) -> bool:
    """False: SCRATCH_BYTES or the disk do not have the bytes now."""
    root = Path(settings.SCRATCH_DIR)
    with _exclusive(root):
        if used_bytes(root) + size > settings.SCRATCH_BYTES:
            return False
        try:
            os.posix_fallocate(file.fileno(), 0, size or 1)
        except OSError:
            return False
    return True


def used_bytes(folder: Path) -> int:
    """Includes reserved bytes."""
    used = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                used += Path(parent, name).stat().st_size
    return used


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
def _exclusive(root: Path) -> Iterator[None]:
    """No other process creates a folder or reserves room there during the block."""
    lock = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
