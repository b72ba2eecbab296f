"""Somebody starts the site without its secrets."""

import os
import re
import subprocess
import sys

import pytest

from devtools.processes import ROOT

SECRETS = {
    "SECRET_KEY": "x" * 50,
    "DATABASE_URL": "postgres://db.example.com/mediaapp",
    "REDIS_URL": "redis://cache.example.com/0",
    "BROKER_URL": "amqp://broker.example.com//",
    "LOCKS_URL": "redis://locks.example.com/0",
    "EMAIL_URL": "smtp+tls://mail.example.com:587",
    "SITE_URL": "https://media.example.com",
}


@pytest.fixture
def start(tmp_path):
    def read_settings(show: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-c", f"import config.settings as s; print({show})"],
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
    ended = start("s.HTTPS, s.SESSION_COOKIE_SECURE", **SECRETS)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "True True\n"


@pytest.mark.parametrize(
    ("broker", "locks"),
    [
        ("redis://:secret@broker.example.com:6380", "redis://:secret@broker.example.com:6380/1"),
        (
            "rediss://broker.example.com/3?health_check_interval=9",
            "rediss://broker.example.com/4?health_check_interval=9",
        ),
    ],
)
def test_locks_are_on_the_server_of_a_redis_broker_unless_they_have_their_own(start, broker, locks):
    variables = SECRETS | {"BROKER_URL": broker}
    assert start("s.LOCKS_URL", **variables | {"LOCKS_URL": ""}).stdout == f"{locks}\n"
    assert start("s.LOCKS_URL", **variables).stdout == f"{SECRETS['LOCKS_URL']}\n"


def test_an_add_on_of_the_platform_is_the_broker(start):
    platform = SECRETS | {"BROKER_URL": "", "CLOUDAMQP_URL": "amqps://app:secret@cow.example.com/app"}
    assert start("s.BROKER_URL", **platform).stdout == "amqps://app:secret@cow.example.com/app\n"
    assert start("s.BROKER_URL", **platform | {"BROKER_URL": "amqp://own"}).stdout == "amqp://own\n"


def test_it_answers_to_its_own_name_and_to_a_probe_and_to_nobody_elses(start):
    assert start("s.ALLOWED_HOSTS", **SECRETS).stdout == "['media.example.com', 'localhost', '127.0.0.1', '[::1]']\n"
    assert start("s.ALLOWED_HOSTS", **SECRETS, ALLOWED_HOSTS="a.org,b.org").stdout == "['a.org', 'b.org']\n"


@pytest.mark.parametrize(
    ("variables", "release"),
    [
        ({}, ""),
        (
            {"HEROKU_RELEASE_VERSION": "v42", "HEROKU_SLUG_COMMIT": "2c3a0b24069af49b3de35b8e8c26765c1dba9ff0"},
            "v42 2c3a0b2",
        ),
        ({"HEROKU_SLUG_COMMIT": "2c3a0b24069af49b3de35b8e8c26765c1dba9ff0"}, "2c3a0b2"),
        ({"RELEASE": "2026-11-22", "HEROKU_RELEASE_VERSION": "v42"}, "2026-11-22"),
    ],
)
def test_the_release_is_read_from_the_platform(start, variables, release):
    assert start("s.RELEASE", **SECRETS, **variables).stdout == f"{release}\n"


def test_a_log_of_another_form_is_refused(start):
    ended = start(LOG_FORMAT="xml", DEBUG="true")
    assert ended.returncode != 0
    assert "LOG_FORMAT is 'xml': write line or json" in ended.stderr


def test_development_needs_none(start):
    ended = start(DEBUG="true")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_build_needs_none_to_collect_the_static_files(tmp_path):
    """What a platform's build has: no add-on's address, no secret, no package of requirements-dev.txt."""
    code = (
        "import sys; sys.modules['django_mail_preview'] = None; "
        "sys.argv = ['manage.py', 'collectstatic', '--noinput', '--dry-run']; "
        "from django.core.management import execute_from_command_line as run; run(sys.argv)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "LOCAL_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "static files copied" in ended.stdout


def test_every_variable_that_is_read_is_described():
    read = "".join(path.read_text() for path in (ROOT / "config").glob("*.py"))
    names = set(re.findall(r"""env\.\w+\(\s*["']([A-Z_0-9]+)["']""", read))
    described = set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", (ROOT / ".env.example").read_text()))
    assert len(names) > 40
    assert names - described == set()
