"""The bench's own servers, and processes that work against them: those of the Procfile, and others of the labs."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import ProxyHandler, build_opener

from devtools import embedded
from devtools.ports import free_port
from devtools.servers import die_with_parent
from devtools.stack import read_procfile

ROOT = Path(__file__).resolve().parent.parent
COUNTED = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on")
PATIENCE = 120  # seconds for anything that a process does
Process = subprocess.Popen[bytes]


@contextmanager
def servers() -> Iterator[Path]:
    """PostgreSQL and two Valkeys in a new folder, as `make run` has them, and a site's environment in os.environ."""
    with (
        TemporaryDirectory(prefix="mediaapp-bench-") as folder,
        embedded.running(Path(folder), postgres_settings=COUNTED) as urls,
    ):
        os.environ |= urls | {
            "DEBUG": "false",
            "SECRET_KEY": "of-the-bench",
            "SITE_URL": "http://127.0.0.1",
            "ALLOWED_HOSTS": "127.0.0.1,testserver",
            "EMAIL_URL": f"filemail:///{folder}/mail",
            "LOCAL_DIR": folder,
            "MEDIA_ROOT": f"{folder}/media",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "LOG_LEVEL": "WARNING",
        }
        yield Path(folder)


def worker(name: str, *, app: str = "config", **variables: str) -> AbstractContextManager[Process]:
    """A worker of the Procfile, ready, by its line there; app: another Celery app, under the same options."""
    return started(name, line_of(name, app), None, **variables)


@contextmanager
def web(*, app: str = "config", **variables: str) -> Iterator[str]:
    """The site, or the `wsgi` of another package, under the Procfile's gunicorn; yields its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    ask = build_opener(ProxyHandler({})).open

    def answers() -> bool:
        try:
            return bool(ask(f"{address}/readyz", timeout=5).status == 200)
        except OSError:
            return False

    with started("web", line_of("web", app), answers, PORT=str(port), **variables):
        yield address


def line_of(name: str, app: str) -> list[str]:
    """A line of the Procfile for another app."""
    line = read_procfile(ROOT / "Procfile")[name]
    return shlex.split(line.replace("--app config", f"--app {app}").replace("config.wsgi", f"{app}.wsgi"))


@contextmanager
def started(
    name: str, command: list[str], answers: Callable[[], bool] | None = None, **variables: str
) -> Iterator[Process]:
    """A process that says that it is ready, or `answers`. Killed at the end, or with us, and its pool with it.

    Raises RuntimeError with the end of its log if it ends before, TimeoutError after PATIENCE seconds.
    """
    with TemporaryDirectory(prefix=f"{name}-") as folder:
        log, ready = Path(folder, "log"), Path(folder, "ready")
        ready.mkdir()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the Procfile's, or a lab's own
                command,
                cwd=ROOT,
                env=os.environ | {"READY_DIR": str(ready), "PROCESS": name, "PATH": path} | variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGKILL),
            )
        is_ready = answers or (lambda: any(ready.iterdir()))
        try:
            wait_until(lambda: process.poll() is not None or is_ready(), name)
            if process.poll() is not None:
                raise RuntimeError(log.read_text()[-4000:])
            yield process
        finally:
            # The whole session: a pool's process would outlive its worker.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Returns once `holds` does. Raises TimeoutError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:g} s in vain for {what}")
        time.sleep(0.02)
