"""Runs the Procfile's processes under honcho.

It uses private parts of honcho, hence the exact version in requirements-dev.txt.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import psutil
from honcho import manager, process
from honcho.environ import parse_procfile

from devtools.ports import is_answering
from devtools.servers import Server
from workers.child_process import die_with_parent

# A worker needs up to 20 s to requeue its job. Honcho kills after 5.
manager.KILL_WAIT = 25
POLL_SECONDS = 0.2
WATCH_SECONDS = 1


class Stack(manager.Manager):  # type: ignore[misc]
    """A process is ready when it has made the file READY_DIR/PROCESS, web when /readyz answers 200.

    exited: the names of the processes and servers that ended first.
    """

    def __init__(self, environment: Mapping[str, str], when_ready: Callable[[], None]) -> None:
        super().__init__()
        self._process_ctor = ChildProcess
        self.environment, self.when_ready = environment, when_ready
        self.exited: list[str] = []

    def add(self, name: str, command: str) -> None:
        """`exec`: honcho's signals reach the command and not a shell."""
        self.add_process(name, f"exec {command}", env={**self.environment, "PROCESS": name})

    def run(self) -> None:
        """Afterwards no child process runs."""
        try:
            self.loop()
        finally:
            stop_remaining()

    def terminate(self) -> None:
        if not self._terminating:
            states = self._processes.items()
            self.exited = [name for name, state in states if state.get("returncode") is not None]
            self.exited += [server.data.name for server in Server.exited()]
        super().terminate()

    def _start(self) -> None:
        super()._start()
        # After the forks: a fork of a process that has threads may hang.
        for target in (self._wait_until_ready, self._watch_servers):
            threading.Thread(target=target, daemon=True).start()

    def _wait_until_ready(self) -> None:
        ready = Path(self.environment["READY_DIR"])
        port = int(self.environment["PORT"])
        reporting = set(self._processes) - {"web"}
        while not (all((ready / name).exists() for name in reporting) and is_answering(port, "/readyz")):
            time.sleep(POLL_SECONDS)
        self.when_ready()

    def _watch_servers(self) -> None:
        # Honcho cannot stop processes before all have started.
        while not (self._all_started() and Server.exited()):
            time.sleep(WATCH_SECONDS)
        self.terminate()


class ChildProcess(process.Process):  # type: ignore[misc]
    def run(self, *args: Any, **options: Any) -> None:
        die_with_parent(SIGKILL)
        self._child_ctor = partial(process.Popen, preexec_fn=partial(die_with_parent, SIGTERM))
        super().run(*args, **options)


def read_procfile(file: Path) -> dict[str, str]:
    return dict(parse_procfile(file.read_text()).processes)


def stop_remaining() -> None:
    """Honcho forgets its processes when a signal comes while it starts them."""
    remaining = []
    for fork in multiprocessing.active_children():
        with suppress(psutil.NoSuchProcess):
            remaining += psutil.Process(fork.pid).children(recursive=True)
    for each in remaining:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    for each in psutil.wait_procs(remaining, timeout=manager.KILL_WAIT)[1]:
        with suppress(psutil.NoSuchProcess):
            each.kill()
