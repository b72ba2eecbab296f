"""The life of one embedded server's process: started apart, watched until it answers, never left.

It runs in a session of its own (a Ctrl-C in the terminal is not for it), dies with a killed parent
(Linux only), and its pid stands beside its data, so that the next start can end what is left of it.
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
    """A server did not start; the text is for people and ends with the server's last words."""


class Server:
    """The server of the folder `data`; `stop_signal` is the one that ends it quickly and cleanly.

    `data`.log and `data`.pid stand beside the folder.
    """

    running: ClassVar[list["Server"]] = []  # those of this process, started and not yet stopped

    def __init__(self, data: Path, stop_signal: int) -> None:
        self.data, self.stop_signal = data, stop_signal
        self.log, self.pid_file = data.with_suffix(".log"), data.with_suffix(".pid")
        self.process: Any = None

    def start(self, command: list[str], *, stdin: str = "", **identity: Any) -> None:
        """Run `command`, hand it `stdin`; `identity` (user, group, extra_groups) goes to Popen."""
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

    def wait_for(self, answer: Callable[[], object], refusal: type[Exception]) -> None:
        """Call `answer` until it no longer raises `refusal`. Raises ServerError if it never does."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                answer()
            except refusal as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(f"{self.data} did not start. {self.log}:\n{self.last_words()}") from error
                time.sleep(0.05)
            else:
                return

    @classmethod
    def fallen(cls) -> list["Server"]:
        """Those of `running` that ended unasked."""
        return [server for server in cls.running if server.process.poll() is not None]

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def end_leftover(self) -> None:
        """Stop what a killed run left, if the pid beside the data still is the same process."""
        if not self.pid_file.exists():
            return
        pid, born = self.pid_file.read_text().split()
        with suppress(psutil.NoSuchProcess):
            leftover = psutil.Process(int(pid))
            if abs(leftover.create_time() - float(born)) < CLOCK_STEP_SECONDS:
                self.process = leftover
                self.stop()

    def stop(self) -> None:
        """End the process, if there is one, and wait for its end."""
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


def on_a_free_port(server: Server, start: Callable[[int], str], tries: int = 3) -> str:
    """What `start` returns, given a free port; another one if somebody is quicker to take it."""
    port = free_port()
    try:
        return start(port)
    except ServerError:
        server.stop()
        if is_free(port) or tries == 1:
            raise
        return on_a_free_port(server, start, tries - 1)
