"""The site's web process, as the Procfile starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from devtools.ports import free_port, is_answering
from devtools.processes import ROOT, Web, ready_process, web
from mediaapp.models import User
from tests.conftest import environment
from workers.circuit_breaker import AWAY_SECONDS


def give_password(user: User, password: str) -> None:
    """Stores a password in a hash that a web process can check: the tests' own hasher is a faster one."""
    user.password = PBKDF2PasswordHasher().encode(password, "salt", iterations=1)
    user.save()


@cache
def collected() -> str:
    """The folder of static files, collected as in a build: without them, no page of production renders."""
    folder = str(settings.LOCAL_DIR / "staticfiles")
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"STATIC_ROOT": folder}, check=True)
    return folder


@contextmanager
def serving_timed(folder: Path, *, silent_seconds: int = 1, away_seconds: float = AWAY_SECONDS) -> Iterator[Web]:
    """As serving(), in one process, with the times of tests/timed_server.py."""
    port, log = free_port(), folder / "web.log"
    times = {"SILENT_SECONDS": str(silent_seconds), "AWAY_SECONDS": str(away_seconds)}
    own = environment(TMPDIR=str(folder), STATIC_ROOT=collected(), PORT=str(port), WEB_CONCURRENCY="1") | times
    command, answers = [sys.executable, "-m", "tests.timed_server"], partial(is_answering, port, "/healthz")
    with ready_process("web", command, own, log=log, is_ready=answers) as process:
        yield Web(process, port, log)


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Web]:
    """The site under its web server, with its log in `folder`. It listens, though its servers may be away."""
    own = environment(TMPDIR=str(folder), STATIC_ROOT=collected()) | variables
    with web(own, log=folder / "web.log", probe="/healthz") as site:
        yield site
