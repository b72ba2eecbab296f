"""`manage.py up` as a newcomer starts it."""

import subprocess
import sys
from pathlib import Path

import psutil

from devtools.processes import wait_until


class UpCommand:
    """A `manage.py up` in `folder`, with its own environment and none of the variables of the tests."""

    def __init__(self, folder: Path, port: int | str, **variables: str) -> None:
        self.folder, self.port, self.log = folder, port, Path(variables.get("LOCAL_DIR", folder)) / f"up-{port}.log"
        self.log.parent.mkdir(exist_ok=True)
        self.variables = {"PATH": "/usr/bin:/bin", "LANG": "C"} | variables
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=folder,
                env=self.variables | {"DEBUG": "true", "PORT": str(port)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for_output(self, words: str) -> "UpCommand":
        wait_until(lambda: words in self.output or self.process.poll() is not None, words)
        assert self.process.poll() is None, self.output
        return self

    def manage(self, *arguments: str) -> str:
        """The output of manage.py in another terminal, which has no variable but LOCAL_DIR."""
        command = [sys.executable, "manage.py", *arguments]
        variables = {name: self.variables[name] for name in ("PATH", "LANG", "LOCAL_DIR") if name in self.variables}
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=True)
        return done.stdout

    def stop(self, signum: int) -> int:
        """Send the signal, and wait for the end of all its processes. Returns the exit code."""
        processes = [self.process, *self.process.children(recursive=True)]
        self.process.send_signal(signum)
        code = self.process.wait()
        wait_until(lambda: not any(map(is_alive, processes)), "the end of every process")
        return code


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
