"""The cast and the processes that the tests share: Alice owns, Bob must see nothing of hers, Stella is staff.

Everything is real: PostgreSQL and two Valkeys (tests/servers.py starts them), and worker processes where a test
asks for `start`.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.test import Client
from redis import Redis, from_url

from mediaapp.models import User
from workers.practices import registry

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 120  # seconds for anything that a process does; a failure, never a pass, waits for it


@pytest.fixture(autouse=True)
def clean_caches(tmp_path: Path, settings) -> None:
    """No test sees another one's keys, locks, messages, files or findings."""
    settings.MEDIA_ROOT = tmp_path / "media"
    for alias in ("default", "locks"):
        caches[alias].client.get_client().flushdb()
    registry.recent.clear()


@pytest.fixture(autouse=True)
def quick_site(settings) -> None:
    """Passwords that are quick to check, and static files from where they are written: nothing is collected."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def broker() -> Iterator[Redis]:
    """The broker's server, empty at first, to look at what was published."""
    with from_url(settings.BROKER_URL) as server:
        server.flushdb()
        yield server
        server.flushdb()


@pytest.fixture
def alice(db) -> User:
    return User.objects.create_user("alice", "alice@example.com", "a long enough secret")


@pytest.fixture
def bob(db) -> User:
    return User.objects.create_user("bob", "bob@example.com", "another long secret")


@pytest.fixture
def stella(db) -> User:
    return User.objects.create_user("stella", "stella@example.com", "a third long secret", is_staff=True)


@pytest.fixture
def as_alice(alice) -> Client:
    return signed_in(alice)


@pytest.fixture
def as_bob(bob) -> Client:
    return signed_in(bob)


@pytest.fixture
def as_stella(stella) -> Client:
    return signed_in(stella)


def signed_in(user: User) -> Client:
    """A browser in which somebody has logged in."""
    client = Client()
    client.force_login(user)
    return client


def wait_until(holds: Callable[[], object], what: str = "") -> None:
    """Returns once `holds` does. Fails the test if it never does."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {DEADLINE} s in vain for {what or holds}")
        time.sleep(0.05)


def environment(**more: str) -> dict[str, str]:
    """What a process of ours is started with: the test database, the test servers, the test's folder."""
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    return os.environ | {"DATABASE_URL": url, "MEDIA_ROOT": str(settings.MEDIA_ROOT)} | more


@pytest.fixture
def start(transactional_db, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a process of the Procfile by its name and waits until it is ready; whatever still runs is killed after.

    app: another Celery app than the site's, of a module in tests/. folder: where it runs.
    """
    started: list[subprocess.Popen] = []
    commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())

    def start_process(name: str, app: str = "config", folder: Path = ROOT, **more: str) -> subprocess.Popen:
        ready = tmp_path / f"ready{len(started)}"
        ready.mkdir()
        log = tmp_path / f"{name}{len(started)}.log"
        command = shlex.split(commands[name].replace("--app config", f"--app {app}"))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Who is killed leaves what it has in its folder of temporary files, as every worker has some.
        own = {"READY_DIR": str(ready), "PROCESS": name, "PATH": path, "TMPDIR": str(ready.parent)}
        env = environment(**{"PYTHONPATH": str(ROOT)} | own | more)
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=folder, env=env, stdout=output, stderr=output, start_new_session=True
            )
        started.append(process)
        wait_until(lambda: process.poll() is not None or any(ready.iterdir()), f"{name} to be ready")
        assert process.poll() is None, log.read_text()[-4000:]
        return process

    yield start_process
    for process in started:
        with suppress(ProcessLookupError):  # a main process that has ended may have left others
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
