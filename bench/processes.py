"""The bench's own servers, and processes of the Procfile that work against them."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import ProxyHandler, build_opener

from mediaapp import embedded
from mediaapp.ports import free_port
from mediaapp.servers import die_with_parent
from mediaapp.stack import read_procfile

ROOT = Path(__file__).resolve().parent.parent
COUNTED = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on")
PATIENCE = 120  # seconds for anything that a process does


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


@contextmanager
def worker(name: str, *, app: str = "config", **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the Procfile, ready, by its line there; app: another Celery app, under the same options."""
    with _started(name, app, variables) as (process, ready):
        wait_until(lambda: process.poll() is not None or any(ready.iterdir()), f"the {name} worker")
        _require(process, ready)
        yield process


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

    with _started("web", app, variables | {"PORT": str(port)}) as (process, ready):
        wait_until(lambda: process.poll() is not None or answers(), "the site")
        _require(process, ready)
        yield address


@contextmanager
def _started(name: str, app: str, variables: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    line = read_procfile(ROOT / "Procfile")[name]
    command = shlex.split(line.replace("--app config", f"--app {app}").replace("config.wsgi", f"{app}.wsgi"))
    with TemporaryDirectory(prefix=f"{name}-") as folder:
        ready = Path(folder, "ready")
        ready.mkdir()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"READY_DIR": str(ready), "PROCESS": name, "PATH": path} | variables
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - the Procfile's
                command,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGKILL),
            )
        try:
            yield process, ready
        finally:
            # The whole session: a pool's process would outlive its worker.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _require(process: subprocess.Popen[bytes], ready: Path) -> None:
    if process.poll() is not None:
        raise RuntimeError((ready.parent / "log").read_text()[-4000:])


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Returns once `holds` does. Raises TimeoutError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(0.02)
