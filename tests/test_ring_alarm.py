"""A practice that does not hold mails the admins once, and once more when it is over."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from django.urls import resolve
from django.utils import timezone

from devtools.processes import DEADLINE_SECONDS, ROOT, wait_until
from tests.alarms import ADMIN, ALARM, LOCKS, REASON, RECOVERY, SECRET, break_locks, mend_locks, subjects
from tests.conftest import environment
from workers.alarms import incidents, mail, messages, states, texts
from workers.alarms import monitor as monitor_module
from workers.alarms.monitor import Monitor
from workers.models import AlarmMessage, Deploy, FindingSample, Incident, PracticeState, QueueSample
from workers.practices import Finding, registry
from workers.queues import table

pytestmark = pytest.mark.django_db(transaction=True)
SENDER = """
import django; django.setup()
from workers.alarms import mail, messages
messages.send_due("mail", mail.send)
"""


def test_an_alarm_and_its_recovery_are_mailed_once(smtp, go):
    break_locks()
    go(3)
    assert subjects(smtp) == [ALARM]
    mend_locks()
    go(3)
    assert subjects(smtp) == [ALARM, RECOVERY]
    alarm, recovery = smtp.mails
    assert recovery["In-Reply-To"] == alarm["Message-ID"]
    text = alarm.get_content()
    for part in (
        "Practice 2, Locks, does not hold since ",
        texts.MEANINGS[LOCKS],
        "1 held, 1 without end",
        "No timeout on endless",
        "http://testserver/operations/runbooks/2-locks/",
        "http://testserver/practices/2/",
    ):
        assert part in " ".join(text.split())
    assert "It did not hold for" in recovery.get_content()
    addresses = [line.rpartition(" http://testserver")[2] for line in text.splitlines() if "http://testserver" in line]
    assert [resolve(address).url_name for address in addresses] == ["runbook", "practice", "operations"]


def test_the_states_and_the_samples_show_what_was_measured(go):
    break_locks()
    go(2)
    state = PracticeState.objects.get(number=LOCKS)
    assert (state.ok, state.summary, state.since < state.measured_at) == (False, "1 held, 1 without end", True)
    assert PracticeState.objects.count() == len(registry.PRACTICES)
    sampled = FindingSample.objects.filter(number=LOCKS).values_list("ok", "figure")
    assert list(sampled) == [(False, 1)]  # one a minute
    assert Incident.objects.get(number=LOCKS).ended_at is None


def test_what_cannot_be_measured_rings_too(smtp, go, settings):
    settings.ALERT_AFTER_SECONDS = dict.fromkeys(range(1, 10), 0) | {7: 0.001}
    go(2)  # nothing ran in this test, so the timing is unknown
    assert subjects(smtp) == ["[testserver] Timing cannot be measured"]


def test_an_alarm_waits_for_its_time_and_a_gap_in_the_watch_begins_it_anew(smtp, go, settings):
    settings.ALERT_AFTER_SECONDS = settings.ALERT_AFTER_SECONDS | {LOCKS: 600}
    break_locks()
    go()
    long_ago = timezone.now() - timedelta(seconds=700)
    Incident.objects.filter(number=LOCKS).update(began_at=long_ago, watched_since=long_ago, seen_at=long_ago)
    go(2)
    assert subjects(smtp) == []
    Incident.objects.filter(number=LOCKS).update(watched_since=long_ago)
    go()
    assert subjects(smtp) == [ALARM]


def test_a_practice_whose_time_is_zero_rings_never(smtp, go, settings):
    settings.ALERT_AFTER_SECONDS = dict.fromkeys(range(1, 10), 0)
    break_locks()
    go(2)
    assert subjects(smtp) == []


def test_no_alarm_rings_while_a_new_release_starts(smtp, go, settings):
    settings.RELEASE = "v42"
    break_locks()
    go(2)
    assert subjects(smtp) == []
    assert list(Deploy.objects.values_list("release", flat=True)) == ["v42"]
    Deploy.objects.update(began_at=timezone.now() - timedelta(seconds=settings.ALERT_DEPLOY_SECONDS + 1))
    go()
    assert subjects(smtp) == [ALARM]


@pytest.mark.parametrize(("good_seconds", "expected"), [(15, [True]), (60, [False, False])])
def test_a_fault_that_flaps_rings_unless_it_was_good_for_the_time_of_its_recovery(settings, good_seconds, expected):
    settings.ALERT_AFTER_SECONDS, settings.ALERT_RECOVERY_SECONDS = {LOCKS: 120}, 60
    start = timezone.now()
    for second in range(0, 105 + good_seconds + 105, 15):
        now = start + timedelta(seconds=second)
        incidents.update(LOCKS, Finding(105 <= second < 105 + good_seconds, ""), now)
        incidents.raise_due(now)
    assert [bool(each.alerted_at) for each in Incident.objects.order_by("pk")] == expected


def test_a_practice_that_flaps_within_its_recovery_has_one_incident_and_one_alarm(smtp, go, settings):
    settings.ALERT_RECOVERY_SECONDS = 60
    for _ in range(2):
        break_locks()
        go(2)
        mend_locks()
        go()
    assert subjects(smtp) == [ALARM]
    Incident.objects.filter(number=LOCKS).update(ended_at=timezone.now() - timedelta(seconds=61))
    go()
    assert (subjects(smtp), Incident.objects.filter(number=LOCKS).count()) == ([ALARM, RECOVERY], 1)


def test_a_practice_that_fails_again_after_its_recovery_rings_ten_minutes_after_its_last_alarm(smtp, go, settings):
    settings.ALERT_REPEAT_SECONDS = 600
    break_locks()
    go(2)
    mend_locks()
    go()
    break_locks()
    go(2)
    assert subjects(smtp) == [ALARM, RECOVERY]
    Incident.objects.exclude(alerted_at=None).update(alerted_at=timezone.now() - timedelta(seconds=601))
    go()
    assert subjects(smtp) == [ALARM, RECOVERY, ALARM]


def test_a_mail_server_that_was_away_gets_the_alarm_once(receiver, smtp, go, settings):
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    break_locks()
    go(2)
    mend_locks()
    go()
    assert len(receiver.received) == 2  # the other channel goes on
    settings.EMAIL_PORT = port
    go(2)
    assert subjects(smtp) == [ALARM, RECOVERY]


def test_staff_get_the_mail_where_no_admins_are_named(smtp, go, settings, stella, alice):
    settings.ALERT_ADDRESSES = []
    break_locks()
    go(2)
    assert [each["To"] for each in smtp.mails] == [stella.email]


def test_a_message_that_nobody_can_get_waits_for_somebody(smtp, go, settings, alice):
    settings.ALERT_ADDRESSES = []
    break_locks()
    go(2)
    assert subjects(smtp) == []
    settings.ALERT_ADDRESSES = [ADMIN]
    go()
    assert subjects(smtp) == [ALARM]


def test_a_process_that_dies_after_its_claim_is_followed_by_one_with_the_same_message(smtp, go, monkeypatch):
    break_locks()
    incidents.update(LOCKS, Finding(False, "1 held, 1 without end", f"{REASON}."), timezone.now())
    Incident.objects.update(watched_since=timezone.now() - timedelta(seconds=1))
    incidents.raise_due(timezone.now())
    smtp.stall()
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER], cwd=ROOT, env=environment(EMAIL_URL=smtp.url, ADMINS=ADMIN)
    )
    try:
        assert smtp.connected.wait(120)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    smtp.may_answer.set()
    messages.send_due("mail", mail.send)
    assert subjects(smtp) == []  # its claim holds
    monkeypatch.setattr(messages, "CLAIM_SECONDS", 0)
    messages.send_due("mail", mail.send)
    assert subjects(smtp) == [ALARM]
    AlarmMessage.objects.update(sent_at=None)  # as if this one had died after its mail
    messages.send_due("mail", mail.send)
    assert len({each["Message-ID"] for each in smtp.mails}) == 1


def sampled(seconds_ago: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    QueueSample.objects.create(queue=next(iter(table().queues)), taken_at=at)


def test_the_first_round_waits_until_beat_has_led_or_a_minute_is_over(settings, monkeypatch):
    settings.MONITOR_SECONDS = 15
    monitor = Monitor()
    assert not monitor.run_round()
    sampled(600)  # before the night
    sampled(1)
    assert not monitor.run_round()
    monkeypatch.setattr(monitor_module, "START_ROUNDS", 0)
    assert Monitor().run_round()


def test_a_beat_that_starts_again_measures_at_once(settings):
    settings.MONITOR_SECONDS = 15
    sampled(31)
    assert Monitor().run_round()


def test_what_holds_does_not_hold_since_before_a_gap(db):
    def since(number: int) -> datetime:
        return PracticeState.objects.get(number=number).since

    start = timezone.now()
    later = [start + timedelta(seconds=seconds) for seconds in (15, 75, 136)]
    findings = [(each, Finding(each.number != LOCKS, "")) for each in registry.PRACTICES]
    states.claim_round(timedelta(seconds=15))
    for now in (start, *later[:2]):
        states.store(findings, now)
    assert {since(1), since(8), since(LOCKS)} == {start}
    PracticeState.objects.filter(number=1).update(measured_at=later[2])  # a claim is no measurement
    states.store(findings, later[2])
    assert (since(1), since(8), since(LOCKS)) == (later[2], later[2], start)


def test_two_monitors_share_the_rounds_and_raise_an_alarm_once(settings):
    settings.MONITOR_SECONDS = 60
    sampled(31)
    first, second = Monitor(), Monitor()
    assert [first.run_round(), second.run_round(), first.run_round()] == [True, False, False]


def test_a_wrong_clock_stops_no_round(settings, monkeypatch):
    settings.MONITOR_SECONDS = 60
    sampled(31)
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=1))
    assert Monitor().run_round()
    times = PracticeState.objects.values_list("measured_at", flat=True)
    assert max(times) < now() + timedelta(minutes=1)
    PracticeState.objects.update(measured_at=timezone.now())  # as an older release, or the database's own clock
    assert [Monitor().run_round() for _ in range(2)] == [True, False]


def test_two_beats_mail_once_and_end_at_once(smtp, receiver, start, broker):
    own = {"ALERT_AFTER_SECONDS": "0", "ALERT_AFTER_SECONDS_2": "1", "ALERT_RECOVERY_SECONDS": "1"}
    own |= {"MONITOR_SECONDS": "0.5", "EMAIL_URL": smtp.url, "ADMINS": ADMIN, "SITE_URL": "http://testserver"}
    own |= {"ALERT_WEBHOOK_URL": receiver.url, "ALERT_WEBHOOK_SECRET": SECRET}
    break_locks()
    beats = [start("beat", app="tests.fast_app", **own) for _ in range(2)]
    wait_until(lambda: smtp.mails and receiver.received, "the alarm")
    mend_locks()
    wait_until(lambda: len(smtp.mails) > 1 and len(receiver.received) > 1, "the recovery")
    for beat in beats:
        beat.terminate()
    assert [beat.wait(DEADLINE_SECONDS) for beat in beats] == [0, 0]
    assert subjects(smtp) == [ALARM, RECOVERY]
    assert [json.loads(each.body)["kind"] for each in receiver.received] == ["alarm", "recovery"]
