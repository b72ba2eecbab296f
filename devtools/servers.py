"""One embedded server as a process: start, readiness, stop, and cleaning up after a killed run.

It runs in a session of its own, so that Ctrl-C in the terminal does not reach it. It stops when its parent is killed
(Linux only). Its pid is in a file beside its data, so that the next start can stop it if it still runs.
"""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import psutil

from devtools.ports import free_port, is_free
from workers.child_process import die_with_parent

START_SECONDS = STOP_SECONDS = 60
CLOCK_STEP_SECONDS = 2


class ServerError(Exception):
    """A server did not start. The text ends with the end of its log."""


class Server:
    """The server of the folder `data`, with its log in `data`.log and its pid in `data`.pid.

    stop_signal: the one that stops it quickly and cleanly.
    """

    running: ClassVar[list["Server"]] = []  # all that this process has started and not stopped

    def __init__(self, data: Path, stop_signal: int) -> None:
        self.data, self.stop_signal = data, stop_signal
        self.log, self.pid_file = data.with_suffix(".log"), data.with_suffix(".pid")
        self.process: Any = None

    def start(self, command: list[str], *, stdin: str = "", **identity: Any) -> None:
        """Run `command` with `stdin` as its input. identity: user, group and extra_groups, for Popen."""
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                preexec_fn=partial(die_with_parent, self.stop_signal),
                **identity,
            )
        self.pid_file.write_text(f"{self.process.pid} {self.process.create_time()}")
        self.running.append(self)
        with self.process.stdin as pipe:
            pipe.write(stdin.encode())

    def wait_for(self, probe: Callable[[], object], refusal: type[Exception]) -> None:
        """Call `probe` until it no longer raises `refusal`. Raises ServerError after START_SECONDS."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                probe()
            except refusal as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(f"{self.data} did not start. {self.log}:\n{self.log_tail()}") from error
                time.sleep(0.05)
            else:
                return

    @classmethod
    def exited(cls) -> list["Server"]:
        """Those of `running` that nobody has stopped."""
        return [server for server in cls.running if server.process.poll() is not None]

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def stop_leftover(self) -> None:
        """Stop the server of a killed run, if the process with that pid still is the same one."""
        if not self.pid_file.exists():
            return
        pid, born = self.pid_file.read_text().split()
        with suppress(psutil.NoSuchProcess):
            leftover = psutil.Process(int(pid))
            if abs(leftover.create_time() - float(born)) < CLOCK_STEP_SECONDS:
                self.process = leftover
                self.stop()

    def stop(self) -> None:
        """Stop the process and wait for its end. Without a process, do nothing."""
        if self.process is None:
            return
        if self in self.running:
            self.running.remove(self)
        with suppress(psutil.NoSuchProcess):
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.pid_file.unlink(missing_ok=True)
        self.process = None


def start_on_free_port(server: Server, start: Callable[[int], str], tries: int = 3) -> str:
    """Call `start` with a free port. If another program takes the port first, try again with another one."""
    port = free_port()
    try:
        return start(port)
    except ServerError:
        server.stop()
        if is_free(port) or tries == 1:
            raise
        return start_on_free_port(server, start, tries - 1)
