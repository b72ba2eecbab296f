"""Fixtures of a monitor whose alarms go to servers of the test, and a fault that practice 2 finds.

A pytest plugin (`-p tests.alarms`).
"""

from collections.abc import Callable, Iterator

import pytest
from django_redis import get_redis_connection

from devtools.http_receiver import HttpReceiver, fresh_http_receiver
from devtools.mail_server import MailServer, fresh_mail_server
from workers.telemetry.held_locks import PREFIX

ADMIN = "admin@example.com"
SECRET = "a secret that both sides know"
LOCKS = 2  # the number of the practice that these tests break
ENDLESS = f"{PREFIX}endless"
REASON = "No timeout on endless: a dead worker would hold it for ever"
ALARM, RECOVERY = f"[testserver] Locks does not hold: {REASON}", "[testserver] Locks holds again"


@pytest.fixture
def smtp(settings) -> Iterator[MailServer]:
    with fresh_mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        yield server


@pytest.fixture
def receiver(settings) -> Iterator[HttpReceiver]:
    with fresh_http_receiver() as server:
        settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = f"{server.url}/hook?team=1", SECRET
        yield server


@pytest.fixture
def go(transactional_db, settings, monkeypatch) -> Callable[..., None]:
    """Rounds of one monitor, each with what it sends. What does not hold in two rounds rings."""
    from workers.alarms import mail, messages, webhook  # noqa: PLC0415 - they import models
    from workers.alarms.monitor import Monitor  # noqa: PLC0415

    settings.MONITOR_SECONDS = settings.ALERT_RECOVERY_SECONDS = settings.ALERT_REPEAT_SECONDS = 0
    settings.ALERT_AFTER_SECONDS = dict.fromkeys(range(1, 10), 0) | {LOCKS: 0.001}
    settings.ALERT_ADDRESSES = [ADMIN]
    monkeypatch.setattr(messages, "RETRY_SECONDS", 0)
    monitor = Monitor()

    def rounds(count: int = 1) -> None:
        for _ in range(count):
            assert monitor.run_round()
            messages.send_due("mail", mail.send)
            messages.send_due("webhook", webhook.send)

    return rounds


def break_locks() -> None:
    get_redis_connection("locks").set(ENDLESS, "a lock without a timeout")


def mend_locks() -> None:
    get_redis_connection("locks").delete(ENDLESS)


def subjects(server: MailServer) -> list[str]:
    return [each["Subject"] for each in server.mails]
