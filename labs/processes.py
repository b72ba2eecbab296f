"""The labs' own servers, and Celery's processes that work against them, so that an experiment meets no site in use."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

from devtools import embedded, processes
from devtools.processes import PATIENCE

URLS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "LOCKS_URL", "BROKER_MANAGEMENT_URL")


@contextmanager
def servers() -> Iterator[Path]:
    """PostgreSQL and two Valkeys in a new folder, whatever the environment names; os.environ is then a site's."""
    for name in URLS:
        os.environ.pop(name, None)
    with TemporaryDirectory(prefix="mediaapp-labs-") as folder, embedded.running(Path(folder)) as urls:
        site = {"DEBUG": "true", "LOCAL_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
        # LOG_LEVEL: refused publishes and the like are what a lab is for. TMPDIR: of workers, which are killed and
        # leave there what they have.
        os.environ |= site | {"LOG_LEVEL": "ERROR", "TMPDIR": folder} | urls
        yield Path(folder)


def started(*command: str, app: str, **variables: str) -> AbstractContextManager[Popen[bytes]]:
    """`celery --app <app> <command>`, ready; killed at the end, with its pool."""
    celery = [sys.executable, "-m", "celery", "--app", app, *command]
    return processes.started(command[0], celery, **{"REMAP_SIGTERM": "SIGQUIT"} | variables)


def stop(process: Popen[bytes]) -> None:
    """As a platform does it. Raises TimeoutExpired."""
    process.terminate()
    process.wait(PATIENCE)
