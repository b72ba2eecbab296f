"""Practice 5: a recurring task expires a little before its next one is due, so that they never pile up.

The trap: the worker stops for a night, and in the morning 8,640 copies of the ten-second job wait before anything else.
And with django-celery-beat `options={"expires": ...}` is dropped in silence: only `expire_seconds` reaches the database
(docs/facts/celery.md#expire-seconds-dropped), so both are written here, computed from the schedule and never by hand.
An expired message still waits in the broker: that beat adds no other one is the matter of
workers/runtime/pending_guard.py.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from celery.schedules import crontab
from django.apps import apps
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.db.models import Count, Q
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.practices import Finding
from workers.queues import table

Entry = dict[str, Any]
OURS = "Written in config/schedule.py: change it there. What is changed here is overwritten at the next start."
DAY = 24 * 60  # minutes
HEARTBEAT = "beat:tick"  # the leading beat's key in the cache, which ends a minute after its last tick
PATIENCE = 60  # seconds that a run may be overdue before it counts as late
CHAPTER = "See docs/5-expires.md."


def expires_after(gap: float) -> int:
    """Seconds after which a run is worth nothing: 5 s, or 10 %, less than the `gap` in seconds to the next one."""
    return max(1, int(gap - 5 if gap > 50 else gap * 0.9))


def gap_of(schedule: Any) -> float | None:
    """Seconds between two runs; of a crontab between its two nearest ones. None for what has no regular gap."""
    if isinstance(schedule, crontab):
        hours, minutes = vars(schedule)["hour"], vars(schedule)["minute"]
        times: list[int] = sorted(hour * 60 + minute for hour in hours for minute in minutes)
        following = [*times[1:], times[0] + DAY]
        return min(after - before for before, after in zip(times, following, strict=True)) * 60.0
    every: timedelta | None = schedule if isinstance(schedule, timedelta) else getattr(schedule, "run_every", None)
    return every.total_seconds() if every else None


def every(gap: timedelta, task: str) -> Entry:
    """A schedule entry that runs `task` once per `gap`."""
    return _entry(task, gap)


def daily(at: str, task: str) -> Entry:
    """A schedule entry that runs `task` at "HH:MM" UTC.

    The hour is written twice: django-celery-beat loads only the crontabs of the hours near now and forgets to catch up
    on one that it missed; a list of hours is always loaded (docs/facts/celery.md#crontab-catch-up).
    """
    hour, minute = map(int, at.split(":"))
    return _entry(task, crontab(hour=f"{hour},{hour}", minute=str(minute)))


def _entry(task: str, schedule: timedelta | crontab) -> Entry:
    expires = expires_after(gap_of(schedule) or 0)
    options = {"queue": table().queue_of(task), "expires": expires, "expire_seconds": expires}
    return {"task": task, "schedule": schedule, "options": options, "description": OURS}


def disable_removed() -> int:
    """Disables the entries in the database that the code no longer has; beat would send them for ever."""
    # By name, here and below: the schedule imports this module before Django's models are there.
    entries = apps.get_model("django_celery_beat.PeriodicTask").objects
    gone = entries.filter(description=OURS, enabled=True).exclude(name__in=current_app.conf.beat_schedule)
    disabled: int = gone.update(enabled=False)
    if disabled:
        apps.get_model("django_celery_beat.PeriodicTasks").update_changed()
    return disabled


def problems_with(entry: Any) -> dict[str, str]:
    """What is wrong with a row of django-celery-beat: by field, a sentence; empty if nothing is."""
    problems = {}
    if entry.queue and entry.queue not in table().queues:
        problems["queue"] = (
            f"No worker reads {entry.queue}: leave it empty, or take one of {', '.join(table().queues)}."
        )
    gap, expires = gap_of(entry.schedule), entry.expire_seconds
    if gap and not entry.one_off and not entry.expires and (expires is None or expires >= gap):
        fault = "It never expires." if expires is None else "It expires too late."
        wanted = f"Runs are {gap:,.0f} s apart: write {expires_after(gap):,}, so that they never pile up."
        problems["expire_seconds"] = f"{fault} {wanted}"
    return problems


@dataclass(frozen=True)
class EntryState:
    """How a recurring entry stands. expired, refused: runs of its task in the last day that did not happen.

    expired: no worker took it in time, or beat did not send it while the last one waited. refused: another run held
    the lock.
    """

    name: str
    task: str
    last_run: datetime | None
    next_run: datetime | None
    late: bool
    expired: int
    refused: int
    problem: str


def states() -> list[EntryState]:
    """Every enabled entry of the database. Raises DatabaseError."""
    enabled = apps.get_model("django_celery_beat.PeriodicTask").objects.filter(enabled=True)
    rows = enabled.select_related("interval", "crontab", "solar", "clocked").order_by("name")
    skipped = _skipped(row.task for row in rows)
    return [_state(row, *skipped.get(row.task, (0, 0))) for row in rows]


def _state(row: Any, expired: int, refused: int) -> EntryState:
    since = row.last_run_at or row.date_changed
    left = row.schedule.remaining_estimate(since)
    late = left.total_seconds() < -PATIENCE
    problem = " ".join(problems_with(row).values())
    return EntryState(row.name, row.task, row.last_run_at, timezone.now() + left, late, expired, refused, problem)


def _skipped(tasks: Iterable[str]) -> dict[str, tuple[int, int]]:
    since = timezone.now() - timedelta(days=1)
    runs = apps.get_model("workers.TaskRun").objects.filter(ended_at__gt=since, task__in=set(tasks))
    counts = (
        runs.filter(outcome__in=["expired", "refused"])
        .values_list("task")
        .annotate(expired=Count("pk", filter=Q(outcome="expired")), refused=Count("pk", filter=Q(outcome="refused")))
    )
    return {task: (expired, refused) for task, expired, refused in counts}


def check() -> list[CheckMessage]:
    """E501: an entry of the schedule that does not expire before its next run."""
    return [
        Error(
            f"The recurring entry {name!r} expires too late or never.",
            hint=f"Write it with recurring.every() or recurring.daily(), which compute the expiry. {CHAPTER}",
            id="practices.E501",
        )
        for name, entry in current_app.conf.beat_schedule.items()
        if entry.get("options", {}).get("expire_seconds", float("inf")) >= _gap_in_seconds(entry["schedule"])
    ]


def _gap_in_seconds(schedule: Any) -> float:
    return float(schedule) if isinstance(schedule, int | float) else gap_of(schedule) or float("inf")


def verify() -> Finding:
    """Holds while every enabled entry expires before its next run and has a queue, none is late, and beat ticks."""
    try:
        entries = states()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    why = [f"{entry.name}: {entry.problem}" for entry in entries if entry.problem]
    why += [f"{entry.name} is late." for entry in entries if entry.late]
    # Of entries that share a task, each has the runs of both.
    skipped = sum({entry.task: entry.expired + entry.refused for entry in entries}.values())
    figure = f"{len(entries)} entries, {skipped} runs skipped in a day"
    try:
        beat = _last_tick()
    except RedisError as error:
        why.append(f"The cache did not answer, where beat leaves its heartbeat: {error}")
        return Finding(False if len(why) > 1 else None, figure, " ".join(why))
    if not beat:
        why.append("No beat has ticked for a minute: is it up?")
    ticked = f"beat ticked {time.time() - beat['at']:.0f} s ago" if beat else "no beat"
    return Finding(not why, f"{figure}, {ticked}", " ".join(why))


def _last_tick() -> dict[str, Any] | None:
    """The heartbeat of the leading beat; None if there is none. Raises RedisError."""
    if beat := cache.get(HEARTBEAT):
        return dict(beat)
    get_redis_connection("default").ping()  # a cache that is away looks like an empty one
    return None
