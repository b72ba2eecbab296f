"""The site's web process, as the Procfile starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from devtools.processes import ROOT, Web, web
from mediaapp.models import User
from tests.conftest import environment


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
def serving(folder: Path, **variables: str) -> Iterator[Web]:
    """The site under gunicorn, with its log in `folder`. It listens, though its servers may be away."""
    own = environment(TMPDIR=str(folder), STATIC_ROOT=collected()) | variables
    with web(own, log=folder / "web.log", probe="/healthz") as site:
        yield site
