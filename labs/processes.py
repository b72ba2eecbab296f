"""The labs' own servers, and processes that work against them, so that an experiment meets no site that is in use."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from mediaapp import embedded

URLS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL")
PATIENCE = 60  # seconds for anything that a process does


@contextmanager
def servers() -> Iterator[Path]:
    """PostgreSQL and Valkeys in a new folder, but for those that the environment names; os.environ is then a site's."""
    with TemporaryDirectory(prefix="mediaapp-labs-") as folder:
        given = [name for name in URLS if os.environ.get(name)]
        with embedded.running(Path(folder), given=given) as urls:
            site = {"DEBUG": "true", "LOCAL_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
            os.environ |= site | {"LOG_LEVEL": "WARNING"} | urls
            yield Path(folder)


@contextmanager
def started(*command: str, app: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """`celery --app <app> <command>`, ready; killed at the end, with its pool."""
    with TemporaryDirectory(prefix="mediaapp-process-") as folder:
        log, ready = Path(folder, "log"), Path(folder, "ready")
        ready.mkdir()
        told = {"REMAP_SIGTERM": "SIGQUIT", "READY_DIR": str(ready), "PROCESS": command[0]} | variables
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - a lab's own command
                [sys.executable, "-m", "celery", "--app", app, *command],
                env=os.environ | told,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(lambda: process.poll() is not None or any(ready.iterdir()), command[0])
            if process.poll() is not None:
                raise RuntimeError(log.read_text()[-4000:])
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """As a platform does it. Raises TimeoutExpired."""
    process.terminate()
    process.wait(PATIENCE)


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Returns once `holds` does. Raises TimeoutError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(0.1)
