"""Recurring runs expire before the next one is due, in the code, in the database and in the admin."""

import time
from datetime import timedelta

import pytest
from celery import current_app
from celery.schedules import crontab
from celery.schedules import schedule as interval
from django.contrib.admin.sites import site
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from tests.outages import make_unreachable
from workers import schedule
from workers.models import TaskRun
from workers.practices import recurring
from workers.telemetry.recurring_entries import recurring_entries

SWEEP = "workers.default.tasks.sweep_jobs"


@pytest.fixture
def beat(transactional_db):
    """What beat does with the schedule when it starts."""
    DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    cache.set(recurring.HEARTBEAT, {"beat": "here", "at": time.time()}, 60)
    yield
    connection.close()


@pytest.mark.parametrize(("gap", "expires"), [(1, 1), (10, 9), (50, 45), (60, 55), (86400, 86395)])
def test_a_run_expires_a_little_before_the_next_one(gap, expires):
    assert schedule.expires_after(gap) == expires


@pytest.mark.parametrize(
    ("when", "gap"),
    [
        (timedelta(seconds=10), 10),
        (interval(30), 30),
        (crontab(), 60),
        (crontab(minute="*/20"), 1200),
        (crontab(minute="0,50"), 600),  # 10:50 and 11:00, not 10:00 and 10:50
        (crontab(minute="15", hour="3"), 86400),
        (crontab(minute="15", hour="3,5"), 7200),
        (crontab(minute="15", hour="3", day_of_week="1"), 7 * 86400),
        (crontab(minute="0", hour="9,17", day_of_week="mon,wed"), 8 * 3600),
        (crontab(minute="0", hour="0", day_of_week="mon,wed"), 2 * 86400),
        (crontab(minute="0", hour="12", day_of_month="1"), 28 * 86400),
        (crontab(minute="0", hour="0", day_of_month="1", month_of_year="1"), 365 * 86400),
    ],
)
def test_the_gap_is_the_shortest_between_two_runs(when, gap):
    assert schedule.gap_seconds(when) == gap


def test_an_entry_has_the_queue_of_its_task_and_its_expiry():
    entry = schedule.every(timedelta(seconds=10), SWEEP)
    assert entry["options"] == {"queue": "default", "expires": 9, "expire_seconds": 9}


def test_a_daily_entry_is_one_that_beat_always_loads():
    entry = schedule.daily("03:20", SWEEP)
    assert entry["schedule"]._orig_hour == "3,3"
    assert entry["schedule"].hour == {3}


def test_every_entry_of_ours_keeps_its_expiry_in_the_database(beat):
    rows = dict(PeriodicTask.objects.filter(description=schedule.DESCRIPTION).values_list("name", "expire_seconds"))
    entries = current_app.conf.beat_schedule
    assert rows == {name: entry["options"]["expire_seconds"] for name, entry in entries.items()}


def test_verify_names_an_entry_that_somebody_disabled(beat):
    sweep = PeriodicTask.objects.filter(task=SWEEP)
    sweep.update(enabled=False, last_run_at=timezone.now() - timedelta(days=1))
    finding = recurring.verify()
    assert finding.ok is False
    assert finding.reason.startswith("sweep jobs every 10 seconds: It is disabled")
    assert "late" not in finding.reason
    sweep.update(enabled=True, last_run_at=timezone.now())
    assert recurring.verify().ok is True


def test_verify_names_an_entry_that_is_not_in_the_database(beat, monkeypatch):
    PeriodicTask.objects.filter(task=SWEEP).delete()
    finding = recurring.verify()
    assert finding.ok is False
    assert "Not in the database: sweep jobs every 10 seconds. The leading beat writes it" in finding.reason
    monkeypatch.delitem(current_app.conf.beat_schedule, "sweep jobs every 10 seconds")
    assert recurring.verify().ok is True


def test_an_entry_that_the_code_no_longer_has_is_disabled_until_it_has_it_again(beat, monkeypatch):
    with monkeypatch.context() as rollback:
        rollback.delitem(current_app.conf.beat_schedule, "sweep jobs every 10 seconds")
        recurring.enable_entries()
        assert not PeriodicTask.objects.get(name="sweep jobs every 10 seconds").enabled
        assert recurring.verify().ok is True
    recurring.enable_entries()
    assert PeriodicTask.objects.get(name="sweep jobs every 10 seconds").enabled


def test_entries_made_by_hand_stay_as_they_are(beat):
    ten = IntervalSchedule.objects.create(every=10, period="seconds")
    for name, is_enabled in (("by hand", True), ("switched off", False)):
        PeriodicTask.objects.create(name=name, task=SWEEP, interval=ten, expire_seconds=9, enabled=is_enabled)
    recurring.enable_entries()
    made = dict(PeriodicTask.objects.exclude(description=schedule.DESCRIPTION).values_list("name", "enabled"))
    assert made == {"by hand": True, "switched off": False}
    assert recurring.verify().ok is True


def test_staff_see_a_disabled_entry_on_the_page(beat, as_stella):
    PeriodicTask.objects.filter(task=SWEEP).update(enabled=False)
    page = as_stella.get("/operations/").content.decode()
    assert "It is disabled and does not run." in page.partition('id="entries"')[2]


def test_verify_fails_while_an_entry_has_no_expiry(beat):
    assert recurring.verify().ok is True
    sweep = PeriodicTask.objects.filter(task=SWEEP)
    sweep.update(expire_seconds=None)
    finding = recurring.verify()
    assert finding.ok is False
    assert "never expires" in finding.reason
    sweep.update(expire_seconds=9)
    assert recurring.verify().ok is True


def test_verify_fails_while_no_beat_ticks(beat):
    cache.delete(recurring.HEARTBEAT)
    finding = recurring.verify()
    assert finding.ok is False
    assert "No beat" in finding.reason


def test_verify_is_unknown_while_the_cache_is_away(beat, settings):
    make_unreachable(settings, "default")
    finding = recurring.verify()
    assert finding.ok is None
    assert "cache" in finding.reason


def test_verify_fails_for_a_known_fault_while_the_cache_is_away(beat, settings):
    PeriodicTask.objects.filter(task=SWEEP).update(expire_seconds=None)
    make_unreachable(settings, "default")
    finding = recurring.verify()
    assert finding.ok is False
    assert "never expires" in finding.reason


def test_verify_fails_for_an_entry_in_an_unknown_queue(beat):
    sweep = PeriodicTask.objects.filter(task=SWEEP)
    sweep.update(queue="defualt")
    finding = recurring.verify()
    assert finding.ok is False
    assert "No worker reads defualt" in finding.reason
    sweep.update(queue="default")
    assert recurring.verify().ok is True


def test_verify_fails_while_an_entry_is_late(beat):
    PeriodicTask.objects.filter(task=SWEEP).update(last_run_at=timezone.now() - timedelta(minutes=10))
    finding = recurring.verify()
    assert finding.ok is False
    assert "late" in finding.reason


def test_skipped_runs_are_counted_by_their_outcome(beat):
    for number, outcome in enumerate(["expired", "expired", "refused", "succeeded"]):
        TaskRun.objects.create(id=number, task=SWEEP, outcome=outcome, ended_at=timezone.now())
    (sweep,) = [entry for entry in recurring_entries() if entry.name.startswith("sweep")]
    assert (sweep.expired, sweep.refused) == (2, 1)
    assert "3 runs skipped" in recurring.verify().summary


def test_skipped_runs_of_a_task_with_two_entries_count_once(beat):
    ten = IntervalSchedule.objects.create(every=10, period="seconds")
    PeriodicTask.objects.create(name="by hand", task=SWEEP, interval=ten, expire_seconds=9)
    TaskRun.objects.create(id=1, task=SWEEP, outcome="expired", ended_at=timezone.now())
    assert "1 run skipped" in recurring.verify().summary


def test_check_fires_for_an_entry_written_by_hand(monkeypatch):
    assert recurring.check() == []
    for options in ({}, {"options": {"expire_seconds": 10}}):
        monkeypatch.setitem(current_app.conf.beat_schedule, "by hand", {"task": SWEEP, "schedule": 10.0} | options)
        (message,) = recurring.check()
        assert message.id == "practices.E501"
        assert "schedule.every()" in message.hint


@pytest.fixture
def submit(rf, admin_user):
    """The admin's form for an entry every ten seconds, filled in by hand."""

    def fill_in(**values: str):
        ten = IntervalSchedule.objects.create(every=10, period="seconds")
        request = rf.get("/")
        request.user = admin_user
        form_class = site.get_model_admin(PeriodicTask).get_form(request)
        filled = {"name": "by hand", "task": SWEEP, "interval": ten.pk, "expire_seconds": "9"} | values
        return form_class(data=filled | {"args": "[]", "kwargs": "{}", "headers": "{}", "enabled": "on"})

    return fill_in


@pytest.mark.parametrize(("expires", "words"), [("", "never expires"), ("10", "too late"), ("9", "")])
def test_the_admin_refuses_an_entry_that_would_pile_up(submit, expires, words):
    form = submit(expire_seconds=expires)
    assert words in str(form.errors.get("expire_seconds", ""))
    assert form.is_valid() is (words == "")


@pytest.mark.parametrize(("queue", "words"), [("defualt", "No worker reads defualt"), ("video", ""), ("", "")])
def test_the_admin_refuses_an_entry_for_an_unknown_queue(submit, queue, words):
    form = submit(queue=queue)
    assert words in str(form.errors.get("queue", ""))
    assert form.is_valid() is (words == "")
