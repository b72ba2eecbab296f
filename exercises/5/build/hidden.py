from celery import current_app
from django_celery_beat.schedulers import ModelEntry

from workers.queues import table
from workers.schedule import DESCRIPTION

TASK = "workers.highmem.tasks.count_failed_jobs"
DAY_SECONDS = 24 * 3600


def entries():
    return [entry for entry in current_app.conf.beat_schedule.values() if entry["task"] == TASK]


def runs():
    """(second of the day, seconds until its message expires) of each run, in order."""
    found = []
    for entry in entries():
        expires = ModelEntry._unpack_options(**entry.get("options", {}))["expire_seconds"]
        hours, minutes = entry["schedule"].hour, entry["schedule"].minute
        found += [(hour * 3600 + minute * 60, expires) for hour in hours for minute in minutes]
    return sorted(found)


def test_it_runs_when_support_reads_it():
    """The task runs at 08:00, 12:00 and 17:00 UTC, each time once."""
    times = [f"{second // 3600:02}:{second % 3600 // 60:02}" for second, _ in runs()]
    assert times == ["08:00", "12:00", "17:00"], f"It runs at {', '.join(times) or 'no time'}."


def test_no_run_outlives_the_next_one():
    """Each message expires before the next run of the task, whichever entry sends that one."""
    sent = runs()
    following = [second for second, _ in sent[1:]] + [sent[0][0] + DAY_SECONDS]
    for (second, expires), after in zip(sent, following, strict=True):
        hour, gap = second // 3600, after - second
        assert expires is not None, f"The message of {hour}:00 never expires."
        assert expires < gap, (
            f"The message of {hour}:00 lives for {expires} s, and after {gap} s there is the next one."
        )
        assert expires >= 3600, f"The message of {hour}:00 lives for {expires} s: a worker that is busy loses the run."


def test_it_goes_into_its_queue():
    """Its messages go into the queue that the table has for the task."""
    queues = {entry.get("options", {}).get("queue") for entry in entries()}
    assert queues == {table().queue_of(TASK)}, f"The entry names {queues}."


def test_beat_ends_it_with_its_line():
    """Beat stops sending it when its line is deleted from the schedule: its row is marked as written by the code."""
    marks = {entry.get("description") for entry in entries()}
    assert marks == {DESCRIPTION}, (
        "Its description is not schedule.DESCRIPTION, by which beat knows the rows of the code."
    )
