"""Recurring runs expire before the next one is due, and their expiry reaches the database."""

from datetime import timedelta

import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from workers.practices import recurring


@pytest.mark.parametrize(("gap", "expires"), [(1, 1), (10, 9), (50, 45), (60, 55), (86400, 86395)])
def test_a_run_expires_a_little_before_the_next_one(gap, expires):
    assert recurring.expires_after(gap) == expires


def test_an_entry_goes_to_the_queue_of_its_task():
    entry = recurring.every(timedelta(seconds=10), "workers.default.tasks.sweep_jobs")
    assert entry["options"] == {"queue": "default", "expires": 9, "expire_seconds": 9}


def test_a_daily_entry_is_one_that_beat_always_loads():
    entry = recurring.daily("03:20", "workers.default.tasks.delete_old")
    assert entry["schedule"]._orig_hour == "3,3"
    assert entry["schedule"].hour == {3}


@pytest.mark.django_db(transaction=True)
def test_every_entry_of_ours_keeps_its_expiry_in_the_database():
    DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    rows = dict(PeriodicTask.objects.exclude(name="celery.backend_cleanup").values_list("name", "expire_seconds"))
    entries = current_app.conf.beat_schedule
    assert rows == {name: entry["options"]["expire_seconds"] for name, entry in entries.items()}
    assert recurring.verify().holds is True


@pytest.mark.django_db(transaction=True)
def test_verify_fails_for_an_entry_without_expiry():
    DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    PeriodicTask.objects.filter(name__startswith="sweep").update(expire_seconds=None)
    finding = recurring.verify()
    assert finding.holds is False
    assert "sweep" in finding.why


def test_check_fires_for_an_entry_written_by_hand(monkeypatch):
    assert recurring.check() == []
    endless = {"task": "workers.default.tasks.sweep_jobs", "schedule": 10.0}
    monkeypatch.setitem(current_app.conf.beat_schedule, "by hand", endless)
    assert [message.id for message in recurring.check()] == ["practices.E501"]
