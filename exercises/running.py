"""The site of a copy: `manage.py up` in a process, which starts again whenever a file of the copy changes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from signal import SIGTERM

from django.core.management.base import CommandError

from devtools.management.commands.up import exclusive_lock
from devtools.ports import is_answering
from devtools.processes import Process, killed_at_end, stop, wait_until
from exercises.copies import PARTS

# Of the learner's environment, no more: a DATABASE_URL in it names a server that the copy must not meet.
KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "TMPDIR", "USER")
POLL_SECONDS = 0.5
TAIL_LINES = 12


class SceneRunningError(Exception):
    """The site runs, and what it should show is not complete yet."""


def environment(**variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {"DEBUG": "true"} | variables


def run_in_copy(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the copy, whose settings find the servers of its running site."""
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603


def serve(folder: Path, port: str, scene: Path) -> None:
    """Until KeyboardInterrupt. scene: see Exercise.scene."""
    while True:
        source = fingerprint(folder)
        with _running_site(folder, port) as process:
            if _is_ready(process, _log(folder)) and _play(scene, folder, source):
                _marker(folder).write_text(f"{port} {source}")
                print(f"Ready: http://127.0.0.1:{port}/  login demo / demo  stop with Ctrl-C", flush=True)
            _wait_for_edit(folder, source, process)
        print("You changed the source: the site starts again ...", flush=True)


@contextmanager
def _running_site(folder: Path, port: str) -> Iterator[Process]:
    (folder / ".local").mkdir(exist_ok=True)
    for old in (_marker(folder), _scene(folder)):  # of one that was killed
        old.unlink(missing_ok=True)
    # The checks are skipped, because a broken rule is the exercise.
    command = [sys.executable, "manage.py", "up", "--skip-checks"]
    variables = environment(PORT=port)
    with killed_at_end(command, _log(folder), environment=variables, folder=folder, orphan_signal=SIGTERM) as process:
        try:
            yield process
        finally:
            _marker(folder).unlink(missing_ok=True)
            stop(process)


def _is_ready(process: Process, log: Path) -> bool:
    """Once the site is ready or has ended."""
    wait_until(lambda: process.poll() is not None or "Ready: " in log.read_text(errors="replace"), "the site")
    return process.poll() is None


def _play(scene: Path, folder: Path, source: str) -> bool:
    """False if it was stopped, because the source is not `source` any more."""
    if not scene.exists():
        return True
    print("The site runs, and its scene is being made ...", flush=True)
    command, log = [sys.executable, "manage.py", "shell", "--command", scene.read_text()], _scene(folder)
    try:
        with killed_at_end(command, log, environment=environment(), folder=folder) as process:
            while process.poll() is None:
                if fingerprint(folder) != source:
                    return False
                time.sleep(POLL_SECONDS)
        if process.returncode:
            print(f"{scene.name} failed:\n{log.read_text(errors='replace')}", flush=True)
    finally:
        log.unlink()
    return True


def _wait_for_edit(folder: Path, source: str, process: Process) -> None:
    """Ends once the files have changed and no more do."""
    has_ended = False
    while (now := fingerprint(folder)) == source:
        if process.poll() is not None and not has_ended:
            has_ended = True
            tail = "\n".join(_log(folder).read_text(errors="replace").splitlines()[-TAIL_LINES:])
            print(f"{tail}\nThe site ended, with these last words. It starts again when you save a file.", flush=True)
        time.sleep(POLL_SECONDS)
    while (later := fingerprint(folder)) != now:
        now = later
        time.sleep(POLL_SECONDS)


def fingerprint(folder: Path) -> str:
    """Of the source files in the copy. Editors leave hidden files and backups, Python its compiled modules."""
    parts = [folder / name for name in PARTS]
    files = [path for part in parts for path in (part.rglob("*") if part.is_dir() else [part]) if path.is_file()]
    digest = sha256()
    for path in sorted(files):
        if "__pycache__" not in path.parts and path.name[0] != "." and path.name[-1] != "~":
            with suppress(FileNotFoundError):  # deleted meanwhile
                digest.update(f"{path} {path.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()


def is_served(folder: Path) -> bool:
    """Whether a `make exercise` holds the site of the copy, which may be starting."""
    try:
        with exclusive_lock(lock_file(folder)):
            return False
    except CommandError:
        return True


def plays_scene(folder: Path) -> bool:
    return _scene(folder).exists() and is_served(folder)


def wait_until_current(folder: Path) -> None:
    """Until the site runs the source as it is now, or is not served any more.

    Raises SceneRunningError if the scene is still at work, and TimeoutError if the site does not start.
    """
    what = "the site to start with your edits; its window says why it does not"
    try:
        wait_until(lambda: is_current(folder) or not is_served(folder), what)
    except TimeoutError as error:
        if plays_scene(folder):
            raise SceneRunningError("The scene of this exercise still runs.") from error
        raise


def lock_file(folder: Path) -> Path:
    return folder.with_suffix(".pid")


def is_current(folder: Path) -> bool:
    """Whether the site is ready and runs the source as it is now."""
    try:
        port, source = _marker(folder).read_text().split()
    except (FileNotFoundError, ValueError):
        return False
    return source == fingerprint(folder) and is_answering(int(port), "/readyz")


def _marker(folder: Path) -> Path:
    return folder / ".local" / "ready-with-source"


def _scene(folder: Path) -> Path:
    """What the scene prints. It exists while the scene runs."""
    return folder / ".local" / "scene.log"


def _log(folder: Path) -> Path:
    return folder / ".local" / "up.log"
