"""A running site for the tests: `manage.py up` as a newcomer starts it."""

import subprocess
import sys
from pathlib import Path

import psutil

from devtools.processes import wait_until


class Up:
    """One `manage.py up` in `folder`; `output` is what it has printed so far."""

    def __init__(self, folder: Path, port: int | str, **variables: str) -> None:
        self.folder, self.port, self.log = folder, port, Path(variables.get("LOCAL_DIR", folder)) / f"up-{port}.log"
        self.log.parent.mkdir(exist_ok=True)
        # Nothing of what the tests' own environment says.
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

    def until(self, words: str) -> "Up":
        """Wait until it has printed `words`."""
        wait_until(lambda: words in self.output or self.process.poll() is not None, words)
        assert self.process.poll() is None, self.output
        return self

    def manage(self, *arguments: str) -> str:
        """What another terminal's manage.py prints, which is told nothing but its LOCAL_DIR."""
        command = [sys.executable, "manage.py", *arguments]
        told = {name: self.variables[name] for name in ("PATH", "LANG", "LOCAL_DIR") if name in self.variables}
        done = subprocess.run(command, cwd=self.folder, env=told, capture_output=True, text=True, check=True)
        return done.stdout

    def end(self, signum: int) -> int:
        """Send the signal, wait until nothing that belonged to it runs; the exit code."""
        family = [self.process, *self.process.children(recursive=True)]
        self.process.send_signal(signum)
        code = self.process.wait()
        wait_until(lambda: not any(map(runs, family)), "the end of every process")
        return code


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
