"""A webhook gets each alarm and recovery, signed."""

import hashlib
import hmac
import json
import socket
import time
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPException
from threading import Thread

import pytest
from django.utils import timezone

from tests.alarms import ALARM, SECRET, break_locks, mend_locks, subjects
from workers.alarms import http_client
from workers.models import AlarmMessage, Incident, Job, PracticeState

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_webhook_gets_the_same_signed(smtp, receiver, go):
    break_locks()
    go(2)
    mend_locks()
    go()
    alarm, recovery = receiver.received
    assert (alarm.method, alarm.path) == ("POST", "/hook?team=1")
    sent = json.loads(alarm.body)
    assert (sent["kind"], sent["practice"]) == ("alarm", {"number": 2, "title": "Locks"})
    assert (sent["subject"], sent["ended_at"]) == (ALARM, None)
    assert json.loads(recovery.body)["ended_at"]
    for each in receiver.received:
        timestamp, signature = (part.partition("=")[2] for part in each.headers["X-Mediaapp-Signature"].split(","))
        signed = f"{timestamp}.".encode() + each.body
        assert signature == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def test_slack_gets_its_own_form(receiver, go, settings):
    settings.ALERT_WEBHOOK_FORMAT = "slack"
    break_locks()
    go(2)
    text = json.loads(receiver.received[0].body)["text"]
    assert text.startswith(f"*{ALARM}*\n")
    assert "<http://testserver/operations/runbooks/2-locks/|Runbook>" in text


def test_what_is_told_of_a_job_has_no_address_of_a_user(smtp, receiver, go, settings, alice):
    """A mail server's refusal names whom the mail was for, and stands in the job's row."""
    settings.ALERT_AFTER_SECONDS = dict.fromkeys(range(1, 10), 0) | {3: 0.001}
    now, refusal = timezone.now(), f"SMTPDataError(451, b'4.7.1 <{alice.email}>: greylisted')"
    fields = {"task": "workers.default.tasks.send_password_reset", "queue": "urgent", "arguments": {}, "attempt": 1}
    times = {"queued_at": now - timedelta(seconds=30), "not_before": now + timedelta(minutes=1)}
    Job.objects.create(message=refusal, **fields, **times)
    go(2)
    told = [receiver.received[0].body.decode(), smtp.mails[0].get_content()]
    told += [each.objects.get(number=3).reason for each in (Incident, PracticeState)]
    for each in told:
        assert "<<mail>>: greylisted" in " ".join(each.split())
        assert alice.email not in each


def test_a_server_that_answers_byte_by_byte_is_given_up(monkeypatch):
    """Each byte comes within the socket's timeout."""
    monkeypatch.setattr(http_client, "TIMEOUT_SECONDS", 0.3)

    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client, suppress(OSError):  # it was given up
            for byte in b"HTTP/1.1 200 OK\r\n\r\n":
                client.sendall(bytes([byte]))
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=drip, args=(server,), daemon=True).start()
        with pytest.raises((HTTPException, OSError)):
            http_client.request("GET", f"http://127.0.0.1:{server.getsockname()[1]}/")


@pytest.mark.parametrize("status", [302, 500])
def test_a_webhook_that_fails_is_called_again_and_no_redirect_is_followed(receiver, smtp, go, status):
    receiver.status, receiver.redirect_to = status, f"{receiver.url}/elsewhere"
    break_locks()
    go(2)
    assert subjects(smtp) == [ALARM]  # the other channel goes on
    assert not AlarmMessage.objects.filter(channel="webhook", sent_at__isnull=False).exists()
    receiver.status = 200
    go(2)
    assert {each.path for each in receiver.received} == {"/hook?team=1"}
    assert len({json.loads(each.body)["id"] for each in receiver.received}) == 1
    assert AlarmMessage.objects.filter(channel="webhook", sent_at__isnull=False).count() == 1
