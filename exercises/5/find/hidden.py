from datetime import timedelta

from celery import current_app
from django_celery_beat.schedulers import ModelEntry

from workers import schedule

SWEEP = "workers.default.tasks.sweep_jobs"


def seconds_in_database(entry):
    """What django-celery-beat makes of the options of an entry."""
    return ModelEntry._unpack_options(**entry["options"])["expire_seconds"]


def test_each_entry_keeps_its_expiry_in_the_database():
    """The expiry of each entry reaches the database, and ends before the next run."""
    for name, entry in current_app.conf.beat_schedule.items():
        kept, gap = seconds_in_database(entry), schedule.gap_seconds(entry["schedule"])
        assert kept is not None, f"Of {name!r}, django-celery-beat writes no expire_seconds into its row."
        assert kept < gap, f"{name!r} expires after {kept} s, and its next run is due after {gap:.0f} s."


def test_a_new_entry_has_its_expiry_too():
    """An entry that somebody writes tomorrow expires too: after 1,795 s of 30 minutes, after 86,395 s of a day."""
    kept = seconds_in_database(schedule.every(timedelta(minutes=30), SWEEP))
    assert kept == 1795, f"every() with 30 minutes: the row has {kept}."
    kept = seconds_in_database(schedule.daily("03:20", SWEEP))
    assert kept == 86395, f"daily(): the row has {kept}."
