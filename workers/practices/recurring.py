"""Practice 5: a recurring task expires a little before its next run is due, so that runs never pile up.

The trap: the worker stops for a night, and in the morning 8,640 copies of the ten-second task wait before anything
else. And django-celery-beat drops `options={"expires": ...}` silently: only `expire_seconds` reaches the database
(docs/facts/celery.md#expire-seconds-dropped). So every() and daily() of workers/schedule.py compute both from the
schedule. An expired message still waits in the broker: workers/runtime/pending_guard.py keeps beat from adding another.
"""

import time
from typing import Any

from celery import current_app
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.practices import Finding
from workers.schedule import DESCRIPTION, gap_seconds
from workers.telemetry.recurring_entries import recurring_entries

HEARTBEAT = "beat:tick"  # the leading beat's key in the cache, which ends a minute after its last tick
CHAPTER = "See docs/5-expires.md."


def disable_removed(**_: object) -> int:
    """Disables the entries in the database that the code no longer has; beat would send them for ever.

    A receiver of `beat_init`. Returns how many it disabled.
    """
    removed = PeriodicTask.objects.filter(description=DESCRIPTION, enabled=True)
    disabled: int = removed.exclude(name__in=current_app.conf.beat_schedule).update(enabled=False)
    if disabled:
        PeriodicTasks.update_changed()
    return disabled


def check() -> list[CheckMessage]:
    """E501: an entry of the schedule that does not expire before its next run."""
    return [
        Error(
            f"The recurring entry {name!r} expires too late or never.",
            hint=f"Write it with schedule.every() or schedule.daily(), which compute the expiry. {CHAPTER}",
            id="practices.E501",
        )
        for name, entry in current_app.conf.beat_schedule.items()
        if entry.get("options", {}).get("expire_seconds", float("inf"))
        >= (gap_seconds(entry["schedule"]) or float("inf"))
    ]


def verify() -> Finding:
    """ok while every enabled entry expires before its next run and has a queue, none is late, and beat ticks."""
    try:
        entries = recurring_entries()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    faults = [f"{entry.name}: {entry.problem}" for entry in entries if entry.problem]
    faults += [f"{entry.name} is late." for entry in entries if entry.is_late]
    # Entries that share a task have the same counts.
    skipped = sum({entry.task: entry.expired + entry.refused for entry in entries}.values())
    summary = f"{len(entries)} entries, {skipped} runs skipped in a day"
    try:
        beat = _last_tick()
    except RedisError as error:
        reason = f"The cache did not answer, where beat leaves its heartbeat: {error}"
        return Finding(False if faults else None, summary, " ".join([*faults, reason]))
    if not beat:
        faults.append("No beat has ticked for a minute: is it up?")
    ticked = f"beat ticked {time.time() - beat['at']:.0f} s ago" if beat else "no beat"
    return Finding(not faults, f"{summary}, {ticked}", " ".join(faults))


def _last_tick() -> dict[str, Any] | None:
    """The heartbeat of the leading beat; None if there is none. Raises RedisError."""
    if beat := cache.get(HEARTBEAT):
        return dict(beat)
    get_redis_connection("default").ping()  # a cache that is away looks like an empty one
    return None
