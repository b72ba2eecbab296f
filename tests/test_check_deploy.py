"""The release step checks a deploy before it migrates: an error stops it, a warning does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.processes import ROOT
from mediaapp import checks
from workers.addresses import is_external_host, require_database_tls

MANIFEST = json.loads((ROOT / "app.json").read_text())
# No server answers at these addresses: a check must not need one.
PRODUCTION = {
    "SECRET_KEY": "a long and random value, as the platform makes one",
    "DATABASE_URL": "postgres://app:secret@127.0.0.1:1/app",
    "REDIS_URL": "rediss://:secret@127.0.0.1:1/0",
    "LOCKS_URL": "rediss://:secret@127.0.0.1:2/0",
    "CLOUDAMQP_URL": "amqps://app:secret@cow.example.com/app",
    "EMAIL_URL": "smtp+tls://user:secret@mail.example.com:587",
    "SITE_URL": "https://media.example.com",
    "PROXIES": "1",
    "ADMINS": "oncall@example.com",
    "S3_BUCKET": "uploads",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    **{name: each["value"] for name, each in MANIFEST["env"].items() if "value" in each},
    "REDIS_TLS": "verified",
}


def release(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the first half of the Procfile's release line, as a platform does: in a shell, by the environment alone."""
    line = (ROOT / "Procfile").read_text().splitlines()[0].removeprefix("release: ")
    check, and_then, migrate = line.partition(" && ")
    assert (and_then, migrate) == (" && ", "python manage.py migrate --noinput")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    clean = {"PATH": path, "LOCAL_DIR": str(folder)}
    return subprocess.run(
        ["sh", "-c", f"{check} && echo migrates"],
        cwd=ROOT,
        env=clean | PRODUCTION | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_setup_of_app_json_passes_without_a_server(tmp_path):
    done = release(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["System check identified no issues (2 silenced).", "migrates"]


def test_an_error_stops_the_deploy_before_it_migrates(tmp_path):
    done = release(tmp_path, BROKER_URL=PRODUCTION["REDIS_URL"])
    assert done.returncode != 0
    assert "practices.E101" in done.stderr
    assert "migrates" not in done.stdout


def test_an_invalid_formation_stops_the_deploy_and_is_reported_once(tmp_path):
    done = release(tmp_path, FORMATION="web=three")
    assert done.returncode != 0
    assert done.stderr.count("web=three") == 1
    assert "migrates" not in done.stdout


def test_a_warning_does_not_stop_the_deploy(tmp_path):
    done = release(tmp_path, REDIS_TLS="unverified", PROXIES="0")
    assert (done.returncode, done.stdout.strip()) == (0, "migrates")
    assert "deploy.W001" in done.stderr
    assert "deploy.W003" in done.stderr


@pytest.fixture
def production(settings):
    """Settings on which every check is silent."""
    settings.REDIS_URL, settings.LOCKS_URL = "rediss://cache.example.com/0", "rediss://locks.example.com/0"
    settings.BROKER_URL, settings.REDIS_TLS = "amqps://broker.example.com", "verified"
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = PRODUCTION["SECRET_KEY"], ["media.example.com"]
    settings.ALERT_ADDRESSES = ["oncall@example.com"]
    settings.HTTPS, settings.PROXIES, settings.WEB_CONCURRENCY = True, 1, 1
    settings.CONNECTIONS = {"database": 40, "cache": 20, "locks": 20, "broker": 20}
    assert checks.check_deploy() == []
    return settings


def found() -> list[str | None]:
    return [message.id for message in checks.check_deploy()]


@pytest.mark.parametrize("key", ["short", "x" * 49, "ab" * 40])
def test_a_weak_secret_key_stops_the_deploy(production, key):
    production.SECRET_KEY = key
    assert found() == ["deploy.E001"]


def test_a_site_that_answers_to_any_name_stops_the_deploy(tmp_path):
    done = release(tmp_path, ALLOWED_HOSTS="media.example.com,*", SECRET_KEY="guessed")
    assert done.returncode != 0
    assert "deploy.E001" in done.stderr
    assert "deploy.E002" in done.stderr
    assert "migrates" not in done.stdout


@pytest.mark.parametrize("rate", ["10 per minute", "ten/10m", "10/", ""])
def test_a_limit_of_tries_that_is_none_stops_the_deploy(production, rate):
    production.TRIES_PER_CLIENT = rate
    assert found() == ["deploy.E003"]


def test_a_short_token_of_the_metrics_stops_the_deploy(production):
    production.METRICS_TOKEN = "x" * 31
    assert found() == ["deploy.E004"]
    production.METRICS_TOKEN = "x" * 32
    assert found() == []


@pytest.mark.parametrize(
    ("form", "secret", "ids"), [("json", "", ["deploy.E005"]), ("slack", "", []), ("json", "s", [])]
)
def test_a_webhook_without_a_secret_stops_the_deploy_unless_it_is_slacks(production, form, secret, ids):
    production.ALERT_WEBHOOK_URL, production.ALERT_WEBHOOK_FORMAT = "https://hooks.example.com", form
    production.ALERT_WEBHOOK_SECRET = secret
    assert found() == ids


def test_an_unknown_form_of_the_webhook_stops_the_deploy(production):
    production.ALERT_WEBHOOK_FORMAT = "teams"
    assert found() == ["deploy.E005"]


def test_w005_warns_if_nobody_is_named_who_gets_alarms(production):
    production.ALERT_ADDRESSES = []
    assert found() == ["deploy.W005"]
    production.ALERT_WEBHOOK_URL, production.ALERT_WEBHOOK_SECRET = "https://hooks.example.com", "s"
    assert found() == []


def test_w001_warns_of_an_unverified_redis(production):
    production.REDIS_TLS = "unverified"
    (message,) = checks.check_deploy()
    assert message.id == "deploy.W001"
    assert message.msg.endswith("at REDIS_URL, LOCKS_URL.")


def test_w001_is_silent_without_tls(production):
    production.REDIS_TLS = "unverified"
    production.REDIS_URL, production.LOCKS_URL = "redis://cache:6379/0", "redis://locks:6379/0"
    assert found() == []


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "redis://cache.example.com/0"),
        ("LOCKS_URL", "redis://8.8.8.8/0"),
        ("BROKER_URL", "amqp://b.org"),
        ("BROKER_MANAGEMENT_URL", "http://user:secret@b.org:15672"),
        ("S3_ENDPOINT_URL", "http://s3.example.com"),
        ("S3_PUBLIC_URL", "http://files.example.com"),
        ("HEARTBEAT_URL", "http://hc.example.com/ping"),
    ],
)
def test_w002_warns_of_a_remote_server_without_tls(production, name, url):
    setattr(production, name, url)
    (message,) = checks.check_deploy()
    assert (message.id, name in message.msg) == ("deploy.W002", True)


def test_w002_warns_of_a_remote_database_without_tls(production, monkeypatch):
    database = production.DATABASES["default"]
    monkeypatch.setitem(database, "HOST", "db.example.com")
    monkeypatch.setitem(database, "OPTIONS", {"sslmode": "disable"})
    (message,) = checks.check_deploy()
    assert (message.id, "DATABASE_URL" in message.msg) == ("deploy.W002", True)
    monkeypatch.setitem(database, "OPTIONS", {"sslmode": "require"})
    assert found() == []


def test_w002_warns_of_a_remote_mail_server_without_tls(production):
    production.EMAIL_HOST = "mail.example.com"
    (message,) = checks.check_deploy()
    assert (message.id, "EMAIL_URL" in message.msg) == ("deploy.W002", True)
    production.EMAIL_USE_TLS = True
    assert found() == []


def test_w003_warns_if_all_visitors_count_as_one_client(production):
    production.PROXIES = 0
    assert found() == ["deploy.W003"]
    production.HTTPS = False
    assert found() == []


@pytest.mark.parametrize("host", ["db.example.com", "ec2-1-2-3-4.compute-1.amazonaws.com", "8.8.8.8", "2606:4700::1"])
def test_a_remote_database_requires_tls(host):
    database = {"HOST": host}
    require_database_tls(database)
    assert is_external_host(host)
    assert database["OPTIONS"] == {"sslmode": "require"}


@pytest.mark.parametrize(
    "host", ["", "/run/postgresql", "localhost", "postgres", "127.0.0.1", "10.1.2.3", "db.internal"]
)
def test_a_database_of_the_own_network_does_not_require_tls(host):
    database = {"HOST": host}
    require_database_tls(database)
    assert not is_external_host(host)
    assert "OPTIONS" not in database


def test_the_database_url_overrides_the_sslmode():
    database = {"HOST": "db.example.com", "OPTIONS": {"sslmode": "verify-full"}}
    require_database_tls(database)
    assert database["OPTIONS"] == {"sslmode": "verify-full"}


@pytest.mark.parametrize("server", ["database", "cache", "locks", "broker"])
def test_w004_warns_of_a_plan_with_too_few_connections(production, server):
    production.CONNECTIONS = production.CONNECTIONS | {server: 1}
    (message,) = checks.check_deploy()
    assert (message.id, f"to the {server}," in message.msg) == ("deploy.W004", True)
    production.CONNECTIONS = production.CONNECTIONS | {server: None}
    assert found() == []


def test_w004_warns_of_a_formation_beyond_the_plan(production):
    production.FORMATION = "web=3"
    assert set(found()) == {"deploy.W004"}
