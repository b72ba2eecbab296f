"""An embedded server as a process, which Ctrl-C in the terminal does not reach."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import psutil

from devtools.ports import free_port, is_free
from workers.child_process import die_with_parent

START_SECONDS = STOP_SECONDS = 60
CLOCK_STEP_SECONDS = 2


class ServerError(Exception):
    """A server did not start."""


class Server:
    """stop_signal: the one that stops it quickly and cleanly."""

    running: ClassVar[list["Server"]] = []  # all that this process has started and not stopped

    def __init__(self, data: Path, stop_signal: int) -> None:
        self.data, self.stop_signal = data, stop_signal
        self.log, self.pid_file = data.with_suffix(".log"), data.with_suffix(".pid")
        self.process: Any = None

    def start(self, command: list[str], *, stdin: str = "", **identity: Any) -> None:
        """identity: user, group and extra_groups, for Popen."""
        self.start_again = partial(self.start, command, stdin=stdin, **identity)
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

    def crash(self) -> None:
        """SIGKILL, and a start on the same data."""
        self.process.kill()
        self.process.wait()
        self.running.remove(self)
        self.start_again()

    def wait_for(self, probe: Callable[[], object], refusal: type[Exception]) -> None:
        """Raises ServerError if `probe` raises `refusal` for START_SECONDS, or if the process ends."""
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
        return [server for server in cls.running if server.process.poll() is not None]

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def stop_leftover(self) -> None:
        """Stops the server of a killed run, unless another process has its pid now."""
        if not self.pid_file.exists():
            return
        pid, born = self.pid_file.read_text().split()
        with suppress(psutil.NoSuchProcess):
            leftover = psutil.Process(int(pid))
            if abs(leftover.create_time() - float(born)) < CLOCK_STEP_SECONDS:
                self.process = leftover
                self.stop()

    def stop(self) -> None:
        """Kills the process after STOP_SECONDS."""
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
    """Tries another port if another program takes the first one."""
    port = free_port()
    try:
        return start(port)
    except ServerError:
        server.stop()
        if is_free(port) or tries == 1:
            raise
        return start_on_free_port(server, start, tries - 1)


@contextmanager
def suspended(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP for it and its children: it keeps its connections, accepts new ones, and answers nothing."""
    process.suspend()
    stopped = [process, *process.children(recursive=True)]
    try:
        for each in stopped[1:]:
            with suppress(psutil.NoSuchProcess):
                each.suspend()
        yield
    finally:
        for each in stopped:
            with suppress(psutil.NoSuchProcess):
                each.resume()
