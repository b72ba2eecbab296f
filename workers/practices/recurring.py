"""Practice 5: a recurring task expires a little before its next one is due, so that they never pile up.

The trap: the worker stops for a night, and in the morning 8,640 copies of the ten-second job wait before anything
else. And with django-celery-beat `options={"expires": ...}` is dropped in silence: only `expire_seconds` reaches the
database (CELERY-FACTS 0.8), so both are written here, computed from the schedule and never by hand.
"""

from datetime import timedelta
from typing import Any

from celery import current_app
from celery.schedules import crontab
from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError

from workers.practices import Finding
from workers.practices.queues import queue_of

Entry = dict[str, Any]


def expires_after(gap: float) -> int:
    """Seconds after which a run is worth nothing: 5 s, or 10 %, less than the `gap` in seconds to the next one."""
    return max(1, int(gap - 5 if gap > 50 else gap * 0.9))


def every(gap: timedelta, task: str) -> Entry:
    """A schedule entry that runs `task` once per `gap`."""
    return _entry(task, gap, gap.total_seconds())


def daily(at: str, task: str) -> Entry:
    """A schedule entry that runs `task` at "HH:MM" UTC.

    The hour is written twice: django-celery-beat loads only the crontabs of the hours near now and forgets to catch
    up on one that it missed; a list of hours is always loaded (CELERY-FACTS 4).
    """
    hour, minute = at.split(":")
    return _entry(task, crontab(hour=f"{int(hour)},{int(hour)}", minute=str(int(minute))), 86400.0)


def _entry(task: str, schedule: timedelta | crontab, gap: float) -> Entry:
    expires = expires_after(gap)
    options = {"queue": queue_of(task), "expires": expires, "expire_seconds": expires}
    return {"task": task, "schedule": schedule, "options": options}


def check() -> list[CheckMessage]:
    """E501: an entry of the schedule that does not expire before its next run."""
    return [
        Error(
            f"The recurring entry {name!r} never expires.",
            hint="Write it with recurring.every() or recurring.daily(), which compute the expiry.",
            id="practices.E501",
        )
        for name, entry in current_app.conf.beat_schedule.items()
        if not entry.get("options", {}).get("expire_seconds")
    ]


def verify() -> Finding:
    """Holds while every enabled entry in the database has kept its expiry."""
    # By name: the schedule imports this module before Django's models are there.
    recurring = apps.get_model("django_celery_beat.PeriodicTask")
    try:
        entries = list(recurring.objects.filter(enabled=True).exclude(name="celery.backend_cleanup"))
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    endless = [entry.name for entry in entries if entry.expire_seconds is None and entry.expires is None]
    figure = f"{len(entries)} entries, {len(endless)} without expiry"
    if endless:
        return Finding(False, figure, f"{', '.join(endless)} would pile up behind a stopped worker.")
    return Finding(True, figure)
