"""The Procfile's processes under honcho: started together, announced when ready, stopped together.

Private parts of honcho that this file leans on: `_start`, `_processes`, `_process_ctor`,
`_child_ctor`, `_terminating`; hence the pin in requirements-dev.txt.
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

# A worker takes up to 20 s to hand its job back; honcho would kill it after 5.
manager.KILL_WAIT = 25
POLL_SECONDS = 0.2
WATCH_SECONDS = 1


class Stack(manager.Manager):  # type: ignore[misc]
    """Honcho's manager, which also calls `when_ready` and keeps in `fallen` who stopped unasked.

    An embedded server that ends stops everything, as a process does: honcho knows only its own.
    A process is ready when it has made the file READY_DIR/PROCESS, web when /readyz answers 200.
    """

    def __init__(self, environment: Mapping[str, str], when_ready: Callable[[], None]) -> None:
        super().__init__()
        self._process_ctor = Dependent
        self.environment, self.when_ready = environment, when_ready
        self.fallen: list[str] = []

    def add(self, name: str, command: str) -> None:
        """Add a line of the Procfile, without a shell between honcho's signals and the command."""
        self.add_process(name, f"exec {command}", env={**self.environment, "PROCESS": name})

    def run(self) -> None:
        """Run until a signal comes, a process or a server falls; afterwards no child of ours is left."""
        try:
            self.loop()
        finally:
            stop_the_rest()

    def terminate(self) -> None:
        if not self._terminating:
            states = self._processes.items()
            self.fallen = [name for name, state in states if state.get("returncode") is not None]
            self.fallen += [server.data.name for server in Server.fallen()]
        super().terminate()

    def _start(self) -> None:
        super()._start()
        # Only now: a fork of a process that has threads may hang.
        for work in (self._announce, self._watch_servers):
            threading.Thread(target=work, daemon=True).start()

    def _announce(self) -> None:
        ready = Path(self.environment["READY_DIR"])
        port = int(self.environment["PORT"])
        reporting = set(self._processes) - {"web"}
        while not (all((ready / name).exists() for name in reporting) and is_answering(port, "/readyz")):
            time.sleep(POLL_SECONDS)
        self.when_ready()

    def _watch_servers(self) -> None:
        # Before all have started, honcho cannot stop them.
        while not (self._all_started() and Server.fallen()):
            time.sleep(WATCH_SECONDS)
        self.terminate()


class Dependent(process.Process):  # type: ignore[misc]
    """A process that does not outlive a killed `up`: honcho's relay is killed, the command told."""

    def run(self, *args: Any, **options: Any) -> None:
        die_with_parent(SIGKILL)
        self._child_ctor = partial(process.Popen, preexec_fn=partial(die_with_parent, SIGTERM))
        super().run(*args, **options)


def read_procfile(file: Path) -> dict[str, str]:
    """The commands of a Procfile by their names."""
    return dict(parse_procfile(file.read_text()).processes)


def stop_the_rest() -> None:
    """End what still runs: honcho lets go of its processes when a signal comes while it starts."""
    left = []
    for relay in multiprocessing.active_children():
        with suppress(psutil.NoSuchProcess):
            left += psutil.Process(relay.pid).children(recursive=True)
    for each in left:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    for each in psutil.wait_procs(left, timeout=manager.KILL_WAIT)[1]:
        with suppress(psutil.NoSuchProcess):
            each.kill()
