"""Fixtures of all tests. Alice owns the objects, Bob must not see them, Stella is staff.

Everything is real: PostgreSQL and two Valkeys, which tests/servers.py starts, and worker processes from `start`.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, count
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.test import Client
from redis import Redis, from_url

from devtools.processes import ROOT, Process, procfile_command, ready_process
from mediaapp.job_search import find, select
from mediaapp.models import User
from mediaapp.operations.findings import charts_of_period
from workers import circuit_breaker, deadline
from workers.practices import registry

# Files with a test of many seconds, the longest first.
LONG = (
    *("test_browse_site", "test_bench", "test_run_labs", "test_run_drills", "test_lift_practices", "test_up"),
    *("test_run_on_dynos", "test_lose_host", "test_lead_beat", "test_notice_death", "test_survive_death"),
    *("test_stop_worker", "test_do_exercises", "test_measure_backlog", "test_kill_hung_process"),
    *("test_run_without_devtools", "test_keep_secrets"),
)


@pytest.hookimpl(trylast=True)  # pytest-django sorts them too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first in the share of each process. At the end of all, a process would be alone with one."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [[item for item in items if item.path.stem == name] for name in LONG]
    short = [item for item in items if item.path.stem not in LONG]
    size = math.ceil(len(short) / processes)
    shares = [[*chain(*long[number::processes]), *short[number * size :][:size]] for number in range(processes)]
    items[:] = chain(*shares)


@pytest.fixture(autouse=True)
def clean_caches(tmp_path: Path, settings) -> None:
    """Delete the cache keys, locks, findings and charts of the last test, and forget its silent servers.

    Media files go to the folder of this one.
    """
    settings.MEDIA_ROOT = tmp_path / "media"
    for alias in ("default", "locks"):
        caches[alias].client.get_client().flushdb()
    registry.finding_cache.clear()
    charts_of_period.cache_clear()
    circuit_breaker.reset_all()
    circuit_breaker.in_request.set(False)


@pytest.fixture(autouse=True)
def quick_site(settings) -> None:
    """A quick password hasher, and static files that need no collectstatic."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def patient_questions(monkeypatch) -> None:
    """A page of this process waits for all of its parts, on a busy machine too. Its processes keep the site's time."""
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 30)
    for search in (find, select):
        monkeypatch.setattr(search, "MAX_MILLISECONDS", 60_000)


@pytest.fixture
def short_lease(settings) -> int:
    """Seconds, for this process and those that it starts, so that a dead worker's job is free soon."""
    settings.JOB_LEASE = 6  # a worker on a busy machine may stand still for some seconds of it
    return settings.JOB_LEASE


@pytest.fixture
def broker() -> Iterator[Redis]:
    """The broker's Valkey, empty at first, to read what was published."""
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
    client = Client()
    client.force_login(user)
    return client


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process of the site: with the test database, the test servers, the test's media folder."""
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    ours = {"DATABASE_URL": url, "MEDIA_ROOT": str(settings.MEDIA_ROOT), "JOB_LEASE": str(settings.JOB_LEASE)}
    return os.environ | ours | variables


@pytest.fixture
def start(transactional_db, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts a process of the Procfile by its name and waits until it is ready. It is killed after the test.

    app: another Celery app than the site's, of a module in tests/. folder: its working directory. The log of the first
    process is <name>0.log in the test's folder.
    """
    with ExitStack() as processes:
        numbers = count()

        def start_process(name: str, app: str = "config", folder: Path = ROOT, **variables: str) -> Process:
            number = next(numbers)
            files = {"log": tmp_path / f"{name}{number}.log", "ready": tmp_path / f"ready{number}", "folder": folder}
            # A killed worker leaves its temporary files behind.
            own = environment(PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path)) | variables
            return processes.enter_context(ready_process(name, procfile_command(name, app), own, **files))

        yield start_process
