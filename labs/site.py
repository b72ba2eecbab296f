"""The whole site as processes that can be killed, stopped, frozen and started again one by one."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from devtools.ports import free_port, is_answering
from devtools.processes import Process, procfile_command, ready_process, stop

NAMES = ("default", "video", "highmem", "beat", "web")
WITH_POOL = ("default", "video", "highmem")


class Site:
    """folder: for the logs. variables: added to the environment of each process."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.port = folder, free_port()
        self.variables = {"PORT": str(self.port), "SITE_URL": f"http://127.0.0.1:{self.port}", **variables}
        self.contexts: dict[str, ExitStack] = {}
        self.processes: dict[str, Process] = {}
        self.starts = 0

    def start(self, name: str) -> None:
        self.starts += 1
        log = self.folder / f"{name}-{self.starts}.log"
        is_ready = partial(is_answering, self.port, "/healthz") if name == "web" else None
        context = self.contexts[name] = ExitStack()
        process = ready_process(name, procfile_command(name), self.variables, log=log, is_ready=is_ready)
        self.processes[name] = context.enter_context(process)

    def kill(self, name: str) -> None:
        """SIGKILL for the process and what it has started, then a new one."""
        self.contexts[name].close()
        self.start(name)

    def stop(self, name: str) -> None:
        """SIGTERM for all, as a platform sends it, then a new process."""
        with suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGTERM)
        stop(self.processes[name])
        self.kill(name)

    def kill_child(self, name: str) -> None:
        for child in psutil.Process(self.processes[name].pid).children()[:1]:
            child.kill()

    def freeze(self, name: str, seconds: float) -> None:
        with frozen(self.processes[name].pid):
            time.sleep(seconds)

    def freeze_child(self, name: str, seconds: float) -> None:
        for child in psutil.Process(self.processes[name].pid).children()[:1]:
            with frozen(child.pid):
                time.sleep(seconds)

    def count_in_logs(self, event: str, name: str) -> int:
        """In the logs of all processes that had this name."""
        return sum(log.read_text(errors="replace").count(event) for log in self.folder.glob(f"{name}-*.log"))

    @contextmanager
    def running(self) -> Iterator["Site"]:
        try:
            for name in NAMES:
                self.start(name)
            yield self
        finally:
            for context in self.contexts.values():
                context.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process gets SIGSTOP, and SIGCONT at the end of the block."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()
