"""An alarm and its recovery stay true and are sent once: beside a second monitor, a wrong clock and a late mail."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tests.alarms import LOCKS
from workers.alarms import incidents, messages, texts
from workers.models import AlarmMessage, Incident, PracticeState
from workers.practices import Finding

pytestmark = pytest.mark.django_db(transaction=True)
BAD = Finding(False, "1 held, 1 without end", "No timeout.")


def over_for(seconds: float, now: datetime) -> Incident:
    """An incident of 14 minutes, whose alarm was raised."""
    began, ended = now - timedelta(seconds=seconds, minutes=14), now - timedelta(seconds=seconds)
    alerted = began + timedelta(minutes=2)
    times = {"began_at": began, "watched_since": began, "alerted_at": alerted, "seen_at": ended, "ended_at": ended}
    return Incident.objects.create(number=LOCKS, ok=False, summary=BAD.summary, reason=BAD.reason, **times)


def test_what_fails_while_another_monitor_tells_its_recovery_is_a_new_incident_that_rings(settings, monkeypatch):
    settings.ALERT_RECOVERY_SECONDS, settings.ALERT_AFTER_SECONDS, settings.ALERT_REPEAT_SECONDS = 60, {LOCKS: 120}, 600
    now = timezone.now()
    over_for(61, now)
    find_unsettled = incidents._find_unsettled

    def find_and_be_overtaken(number: int, at: datetime) -> Incident | None:
        found = find_unsettled(number, at)
        incidents.raise_due(now)
        return found

    monkeypatch.setattr(incidents, "_find_unsettled", find_and_be_overtaken)
    for second in range(0, 900, 15):
        incidents.update(LOCKS, BAD, now + timedelta(seconds=second))
        incidents.raise_due(now + timedelta(seconds=second))
    kinds = AlarmMessage.objects.filter(channel="mail").order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["recovery", "alarm"]
    assert Incident.objects.count() == 2


@pytest.mark.parametrize("minutes", [6, -6])
def test_a_beat_whose_clock_is_wrong_sends_no_mail_again(monkeypatch, minutes):
    AlarmMessage.objects.create(incident=over_for(0, timezone.now()), kind="alarm", channel="mail")
    now, sent = timezone.now, list[str]()

    def send_while_the_other_looks(message: AlarmMessage) -> None:
        sent.append(message.key)
        monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(minutes=minutes))
        messages.send_due("mail", lambda again: sent.append(again.key))

    messages.send_due("mail", send_while_the_other_looks)
    message = AlarmMessage.objects.get()
    assert sent == [message.key]
    assert message.sent_at
    assert abs(message.sent_at - now()) < timedelta(minutes=1)


@pytest.mark.parametrize(("ok", "figure"), [(True, "0 held"), (False, ""), (None, "")])
def test_a_recovery_that_was_delayed_tells_no_figure_of_new_trouble(ok, figure):
    now = timezone.now()
    state = {"ok": ok, "summary": "0 held" if ok else "5 held, 5 without end"}
    PracticeState.objects.create(number=LOCKS, since=now, measured_at=now, **state)
    message = AlarmMessage.objects.create(incident=over_for(600, now), kind="recovery", channel="mail")
    notice = texts.make_notice(message)
    assert notice.figure == figure
    assert "without end" not in notice.body
    assert ("Figure: 0 held" in notice.body) == bool(ok)
