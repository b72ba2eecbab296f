"""Entries for config/schedule.py that expire before their next run (practice 5).

Import no Django model here: the Celery app reads the schedule before Django's apps are loaded.
"""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from celery import current_app
from celery.schedules import crontab

from workers.queues import table

Entry = dict[str, Any]
# Marks the rows of django-celery-beat that come from the code.
DESCRIPTION = "Written in config/schedule.py: change it there. What is changed here is overwritten at the next start."
DAY_MINUTES = 24 * 60
YEARS = [date(2026, 1, 1) + timedelta(days) for days in range(800)]  # a crontab's days repeat in them


def every(gap: timedelta, task: str) -> Entry:
    return _entry(task, gap)


def daily(at: str, task: str) -> Entry:
    """at: "HH:MM" in UTC.

    The hour is written twice, so that beat catches up on a missed run (docs/facts/celery.md#crontab-catch-up).
    """
    hour, minute = map(int, at.split(":"))
    return _entry(task, crontab(hour=f"{hour},{hour}", minute=str(minute)))


def scheduled_tasks() -> set[str]:
    return {entry["task"] for entry in current_app.conf.beat_schedule.values()}


def scheduled_queues() -> list[str]:
    return sorted({table().queue_of(task) for task in scheduled_tasks()})


def _entry(task: str, schedule: timedelta | crontab) -> Entry:
    expires = expires_after(gap_seconds(schedule) or 0)
    options = {"queue": table().queue_of(task), "expires": expires, "expire_seconds": expires}
    return {"task": task, "schedule": schedule, "options": options, "description": DESCRIPTION}


def expires_after(gap: float) -> int:
    """Seconds after which a run is worth nothing: a little less than the `gap` in seconds to the next one."""
    return max(1, int(gap - 5 if gap > 50 else gap * 0.9))


def gap_seconds(schedule: Any) -> float | None:
    """Between the two nearest runs. None for what has no regular gap."""
    if isinstance(schedule, int | float):
        return float(schedule)
    if isinstance(schedule, crontab):
        return _crontab_gap(vars(schedule))
    interval: timedelta | None = schedule if isinstance(schedule, timedelta) else getattr(schedule, "run_every", None)
    return interval.total_seconds() if interval else None


def _crontab_gap(fields: dict[str, Any]) -> float | None:
    """fields: of a crontab, the numbers of each. None for one that runs less than once a year."""
    times = sorted(hour * 60 + minute for hour in fields["hour"] for minute in fields["minute"])
    gaps = [after - before for before, after in pairwise(times)]
    days = [day for day in YEARS if _is_day_of(fields, day)]
    gaps += [(after - before).days * DAY_MINUTES + times[0] - times[-1] for before, after in pairwise(days)]
    return min(gaps) * 60.0 if gaps else None


def _is_day_of(fields: dict[str, Any], day: date) -> bool:
    return (
        day.isoweekday() % 7 in fields["day_of_week"]
        and day.day in fields["day_of_month"]
        and day.month in fields["month_of_year"]
    )


def find_problems(entry: Any) -> dict[str, str]:
    """Sentences by field, for a row of django-celery-beat."""
    problems = {}
    if entry.queue and entry.queue not in table().queues:
        problems["queue"] = (
            f"No worker reads {entry.queue}: leave it empty, or take one of {', '.join(table().queues)}."
        )
    gap, expires = gap_seconds(entry.schedule), entry.expire_seconds
    if gap and not entry.one_off and not entry.expires and (expires is None or expires >= gap):
        fault = "It never expires." if expires is None else "It expires too late."
        wanted = f"Runs are {gap:,.0f} s apart: write {expires_after(gap):,}, so that they never pile up."
        problems["expire_seconds"] = f"{fault} {wanted}"
    return problems
