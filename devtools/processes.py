"""Runs processes in sessions of their own, which get SIGKILL at the end of the block.

Otherwise a pool's process would outlive its worker.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.ports import free_port, is_answering
from devtools.stack import read_procfile
from workers.child_process import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 120  # for anything that a process does
LOG_CHARACTERS = 4000  # of a log, in an error
Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Web:
    process: Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def worker(name: str, *, app: str = "config", **variables: str) -> AbstractContextManager[Process]:
    """app: another Celery app, under the same options."""
    return ready_process(name, procfile_command(name, app), variables)


def celery(*command: str, app: str, log: Path | None = None, **variables: str) -> AbstractContextManager[Process]:
    """For another worker or beat than those of the Procfile."""
    words = [sys.executable, "-m", "celery", "--app", app, *command]
    return ready_process(command[0], words, {"REMAP_SIGTERM": "SIGQUIT"} | variables, log=log)


@contextmanager
def web(
    variables: Mapping[str, str] = {}, *, app: str = "config", log: Path | None = None, probe: str = "/readyz"
) -> Iterator[Web]:
    """Yields the site once `probe` answers 200. app: another package with a `wsgi`."""
    with TemporaryDirectory(prefix="web-") as folder:
        port, log = free_port(), log or Path(folder, "log")
        answers, variables = partial(is_answering, port, probe), {"PORT": str(port), **variables}
        with ready_process("web", procfile_command("web", app), variables, log=log, is_ready=answers) as process:
            yield Web(process, port, log)


def procfile_command(name: str, app: str = "config") -> list[str]:
    line = read_procfile(ROOT / "Procfile")[name]
    site = [f"{app}.asgi:application"] if name == "web" else []
    return [*shlex.split(line.replace("--app config", f"--app {app}")), *site]


@contextmanager
def ready_process(
    name: str,
    command: list[str],
    variables: Mapping[str, str],
    *,
    log: Path | None = None,
    ready: Path | None = None,
    is_ready: Callable[[], bool] | None = None,
    folder: Path = ROOT,
) -> Iterator[Process]:
    """Yields the process once `is_ready` holds, or without it, once the process has made a file in the folder `ready`.

    variables: added to os.environ for it. Raises RuntimeError if it ends before, TimeoutError after DEADLINE_SECONDS.
    """
    with TemporaryDirectory(prefix=f"{name}-") as own:
        log, ready = log or Path(own, "log"), ready or Path(own, "ready")
        ready.mkdir()
        environment = {**os.environ, "READY_DIR": str(ready), "PROCESS": name, **variables}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        with killed_at_end(command, log, environment=environment, folder=folder) as process:
            wait_until_ready(process, is_ready or partial(has_files, ready), log)
            yield process


def wait_until_ready(process: Process, is_ready: Callable[[], object], log: Path) -> None:
    """Raises RuntimeError if the process ends before, TimeoutError after DEADLINE_SECONDS."""
    wait_until(lambda: process.poll() is not None or is_ready(), f"{process.args!r} to be ready")
    if process.poll() is not None:
        raise RuntimeError(f"{process.args!r} ended:\n{log.read_text()[-LOG_CHARACTERS:]}")


@contextmanager
def killed_at_end(
    command: list[str],
    log: Path,
    *,
    environment: Mapping[str, str],
    folder: Path = ROOT,
    orphan_signal: int = signal.SIGKILL,
) -> Iterator[Process]:
    """At the end of the block, every process of the session gets SIGKILL.

    orphan_signal: what the command gets if this process dies first; then nothing else reaches what it has started.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the Procfile's, or our own
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, orphan_signal),
        )
    try:
        yield process
    finally:
        if "COVERAGE_PROCESS_CONFIG" in environment:  # a killed process does not write what coverage measured
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                process.terminate()
                process.wait(DEADLINE_SECONDS / 4)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stop(process: Process) -> None:
    """Sends SIGTERM and waits. Raises TimeoutExpired."""
    process.terminate()
    process.wait(DEADLINE_SECONDS)


def wait_until(
    condition: Callable[[], object], what: str = "", *, seconds: float = DEADLINE_SECONDS, interval: float = 0.05
) -> None:
    """Raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what or condition}")
        time.sleep(interval)


def has_files(folder: Path) -> bool:
    return any(folder.iterdir())
