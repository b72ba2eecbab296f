"""Somebody starts the site without its secrets."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SECRETS = {
    "SECRET_KEY": "x" * 50,
    "DATABASE_URL": "postgres://db.example.com/mediaapp",
    "REDIS_URL": "redis://cache.example.com/0",
    "BROKER_URL": "amqp://broker.example.com//",
    "EMAIL_URL": "smtp+tls://mail.example.com:587",
    "SITE_URL": "https://media.example.com",
    "ALLOWED_HOSTS": "media.example.com",
}


@pytest.fixture
def start(tmp_path):
    def read_settings(**environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-c", "import config.settings as s; print(s.HTTPS, s.SESSION_COOKIE_SECURE, s.LOCKS_URL)"],
            env=clean | {"LOCAL_DIR": str(tmp_path)} | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    return read_settings


@pytest.mark.parametrize("name", SECRETS)
def test_the_one_that_is_missing_is_named_and_nothing_else(start, name):
    ended = start(**SECRETS | {name: ""})
    assert ended.returncode != 0
    assert f"Set {name}: " in ended.stderr


def test_all_that_are_missing_are_named_at_once(start):
    ended = start(**dict.fromkeys(SECRETS, ""))
    assert ended.returncode != 0
    assert f"Set {', '.join(SECRETS)}: " in ended.stderr


def test_with_all_of_them_it_starts_and_cookies_need_https(start):
    ended = start(**SECRETS)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "True True redis://cache.example.com/2\n"


def test_development_needs_none(start):
    ended = start(DEBUG="true")
    assert (ended.returncode, ended.stderr) == (0, "")
