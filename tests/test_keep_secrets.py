"""No log, message or page has a secret, neither while all goes well nor while everything fails."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from kombu import Connection

from devtools.processes import ROOT, wait_until
from devtools.rabbitmq import Node
from devtools.visitor import Visitor
from tests import in_subprocess
from tests.conftest import environment
from tests.web import give_password, serving
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
MARKED = {
    "SECRET_KEY": "marked-5f0c2b7e-key-of-the-site",
    "AWS_SECRET_ACCESS_KEY": "marked-9e1d4a60-key-of-the-storage",
    "EMAIL_URL": "smtp://mailer:marked-7b3c-password-of-the-mails@127.0.0.1:1",
}
TYPED = "marked 41d8 typed by a person"
STAFFS = "marked 63b9 typed by staff"
WRONG = "marked 77aa typed by mistake"
LINK = re.compile(r"/accounts/reset/([^/\s]+)/([^/\s\"]+)/")


class Output:
    """All texts that the site wrote, by place; `leaks` lists the places with a secret."""

    def __init__(self, node: Node) -> None:
        self.texts: dict[str, str] = {}
        self.secrets = {
            "the site's key": MARKED["SECRET_KEY"],
            "the storage's key": MARKED["AWS_SECRET_ACCESS_KEY"],
            "the mail server's password": urlsplit(MARKED["EMAIL_URL"]).password,
            "the database's password": urlsplit(environment()["DATABASE_URL"]).password,
            "the cache's password": urlsplit(settings.REDIS_URL).password,
            "the locks' password": urlsplit(settings.LOCKS_URL).password,
            "the broker's password": urlsplit(node.url).password,
            "a typed password": TYPED,
            "a mistyped password": WRONG,
            "a password of staff": STAFFS,
        }

    def add(self, where: str, text: str) -> None:
        self.texts[f"{len(self.texts)} {where}"] = text

    def manage(self, *arguments: str, **variables: str) -> None:
        """What a command prints, whether it goes well or not."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )
        self.add(f"manage.py {' '.join(arguments)}", done.stdout + done.stderr)

    @property
    def leaks(self) -> list[tuple[str, str, str]]:
        # A secret in a form or an address is written in other letters.
        written = {
            name: {secret, secret.replace(" ", "+"), secret.replace(" ", "%20")}
            for name, secret in self.secrets.items()
        }
        return [
            (where, name, next(line for line in text.splitlines() if secret in line)[:300])
            for where, text in self.texts.items()
            for name, forms in written.items()
            for secret in forms
            if secret in text
        ]


@pytest.fixture
def output(vhost: Node) -> Output:
    return Output(vhost)


@pytest.fixture
def site_environment(vhost: Node) -> dict[str, str]:
    """The environment of a site on RabbitMQ, with marked secrets, whose mails go to a file."""
    return MARKED | {"BROKER_URL": vhost.url, "BROKER_MANAGEMENT_URL": vhost.management, "EMAIL_URL": mails()}


@pytest.fixture
def environment_away(vhost: Node, site_environment: dict[str, str]) -> dict[str, str]:
    """The same, while no server answers; passwords stay what they are."""
    urls = {"DATABASE_URL": environment()["DATABASE_URL"], "BROKER_URL": vhost.url} | {
        name: getattr(settings, name) for name in ("REDIS_URL", "LOCKS_URL")
    }
    gone = {name: re.sub(r":\d+/", ":1/", url) for name, url in urls.items()}
    return site_environment | gone | {"BROKER_MANAGEMENT_URL": re.sub(r":\d+$", ":1", vhost.management)}


def mails() -> str:
    return f"filemail:///{settings.MEDIA_ROOT}/mails"


def log_tail(name: str, words: str, folder: Path, **variables: str) -> str:
    """What a process of the Procfile says that cannot come up, until it says `words` or ends."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    log, path = folder / f"{name}-away.log", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with log.open("w") as output:
        env = environment(**variables, PATH=path)
        process = subprocess.Popen(
            shlex.split(lines[name]), cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until(lambda: words in log.read_text() or process.poll() is not None, f"{name} to say {words!r}")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return log.read_text()


def messages(node: Node, queue: str) -> Iterator[str]:
    """Body, headers and properties of each message that waits in a queue."""
    with Connection(node.url) as connection:
        while message := connection.default_channel.basic_get(queue, no_ack=True):
            yield f"{message.body!r} {json.dumps(message.headers, default=str)} {message.properties!r}"


def is_published(site_environment: dict[str, str]) -> bool:
    """The sweep tries again what the click could not publish to a busy node."""
    if not (published := Job.objects.filter(dispatched_at__isnull=False).exists()):
        in_subprocess.run("from workers import jobs; jobs.sweep()", **site_environment)
    return published


def test_no_secret_leaks_while_all_goes_well(
    output: Output, site_environment, vhost: Node, start, alice, stella, tmp_path: Path
):
    give_password(stella, STAFFS)
    start("video", **site_environment)  # declares the queues
    with serving(tmp_path, WEB_CONCURRENCY="1", **site_environment) as web:
        visitor = Visitor(web.port)
        for path, fields in {
            "/accounts/signup/": {
                "username": "carol",
                "email": "c@example.com",
                "password1": TYPED,
                "password2": TYPED,
            },
            "/accounts/login/": {"username": "carol", "password": WRONG},
            "/accounts/login/?next=/uploads/": {"username": "carol", "password": TYPED},
            "/accounts/password_reset/": {"email": alice.email},
        }.items():
            output.add(path, visitor.post(path, **fields).data.decode())
        wait_until(lambda: is_published(site_environment), "the message")
        for message in messages(vhost, "urgent"):
            output.add("a message", message)
        Job.objects.update(dispatched_at=None)  # that message was taken out: the sweep sends another one
        beat = start("beat", **site_environment)
        start("default", **site_environment)
        wait_until(lambda: Job.objects.filter(state=Job.State.DONE), "the mail")
        beat.kill()
        (mail,) = Path(settings.MEDIA_ROOT, "mails").iterdir()
        link = LINK.search(mail.read_text().replace("=\n", ""))
        output.secrets["the reset token"] = link[2]
        visitor.get(link[0])
        output.add("a new password", visitor.post(link[0], new_password1=TYPED, new_password2=TYPED).data.decode())
        visitor = Visitor(web.port)
        output.add("a login", visitor.post("/accounts/login/", username="stella", password=STAFFS).data.decode())
        wait_until(lambda: 'id="queues"' in visitor.get("/operations/").data.decode(), "the figures of staff")
        staffs = ("/operations/", "/operations/capacity/", "/practices/", "/practices/1/", "/admin/")
        for path in (*staffs, "/", "/nowhere/", link[0] + "more/", "/readyz"):
            output.add(path, visitor.get(path).data.decode())
        for command in ("doctor", "check", "budget"):
            output.manage(command, **site_environment)
    for log in tmp_path.glob("*.log"):
        output.add(log.name, log.read_text())
    assert len(output.texts) > 15
    assert output.leaks == []


def test_no_secret_leaks_while_everything_fails(
    output: Output, site_environment, environment_away, alice, tmp_path: Path
):
    token = output.secrets["the reset token"] = "abc123-0123456789abcdef0123456789abcdef"
    with serving(tmp_path, WEB_CONCURRENCY="1", **environment_away) as web:
        visitor = Visitor(web.port)
        for path in (f"/accounts/reset/MQ/{token}/", "/catalogue/", "/practices/", "/readyz", "/admin/login/"):
            output.add(path, visitor.get(path).data.decode())
        output.add("a form", visitor.post("/accounts/login/", username="alice", password=TYPED).data.decode())
        for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password_reset/"):
            fields = {"username": "dora", "email": "d@example.com", "password": TYPED, "password1": TYPED}
            output.add(path, visitor.post(path, **fields, password2=TYPED).data.decode())
    for command in (("doctor",), ("check", "--deploy"), ("migrate", "--noinput"), ("budget",)):
        output.manage(*command, **environment_away)
    for name, words in {"default": "Cannot connect to", "beat": "beat_lock_unavailable"}.items():
        output.add(name, log_tail(name, words, tmp_path, **environment_away))
    for log in tmp_path.glob("*.log"):
        output.add(log.name, log.read_text())
    assert "Service Unavailable: /accounts/reset/" in web.log.read_text()
    assert output.leaks == []
