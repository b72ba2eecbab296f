"""The site's web process as the Procfile starts it, and somebody who visits it."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from devtools.processes import DEADLINE_SECONDS, ROOT, Web, web
from mediaapp.models import User
from tests.conftest import environment

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


def give_password(user: User, password: str) -> None:
    """One that a web process can check: it has the site's hashers, and the tests a quicker one."""
    user.password = PBKDF2PasswordHasher().encode(password, "salt", iterations=1)
    user.save()


class Answer:
    """What came back, whatever its status."""

    def __init__(self, response: urllib.response.addinfourl) -> None:
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()


class Visitor:
    """A browser without JavaScript. headers: what it, or a router before the site, sends with each request."""

    def __init__(self, port: int, **headers: str) -> None:
        self.site, self.headers = f"http://127.0.0.1:{port}", headers
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        ).open

    def get(self, path: str) -> Answer:
        return self._ask(path)

    def post(self, path: str, **fields: str) -> Answer:
        """Fills in the form at a path and sends it; what the next page says."""
        token = TOKEN.search(self.get(path).text)
        return self._ask(path, urlencode(fields | {"csrfmiddlewaretoken": token[1] if token else ""}).encode())

    def _ask(self, path: str, body: bytes | None = None) -> Answer:
        request = urllib.request.Request(self.site + path, body, self.headers)
        try:
            return Answer(self._open(request, timeout=DEADLINE_SECONDS))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error)


@cache
def collected() -> str:
    """Where the static files are, collected as a build does it: without them no page of production is one."""
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
