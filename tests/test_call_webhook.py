"""A webhook gets each alarm and recovery, signed."""

import hashlib
import hmac
import json

import pytest

from tests.alarms import ALARM, SECRET, break_locks, mend_locks, subjects
from workers.models import AlarmMessage

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_webhook_gets_the_same_signed(smtp, receiver, go):
    break_locks()
    go(3)
    mend_locks()
    go(2)
    alarm, recovery = receiver.received
    assert (alarm.method, alarm.path) == ("POST", "/hook?team=1")
    told = json.loads(alarm.body)
    assert (told["kind"], told["practice"]) == ("alarm", {"number": 2, "title": "Locks"})
    assert (told["subject"], told["ended_at"]) == (ALARM, None)
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


@pytest.mark.parametrize("status", [302, 500])
def test_a_webhook_that_fails_is_called_again_and_no_redirect_is_followed(receiver, smtp, go, status):
    receiver.status, receiver.redirect_to = status, f"{receiver.url}/elsewhere"
    break_locks()
    go(3)
    assert subjects(smtp) == [ALARM]  # the other channel goes on
    assert not AlarmMessage.objects.filter(channel="webhook", sent_at__isnull=False).exists()
    receiver.status = 200
    go(3)
    assert {each.path for each in receiver.received} == {"/hook?team=1"}
    assert len({json.loads(each.body)["id"] for each in receiver.received}) == 1
    assert AlarmMessage.objects.filter(channel="webhook", sent_at__isnull=False).count() == 1
