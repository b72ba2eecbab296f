"""Practice 5: a recurring task expires a little before its next run is due (workers/schedule.py): runs never pile up.

The trap: a worker stops for a day, and then 8,640 runs of a ten-second task wait before anything else.
django-celery-beat drops the option `expires` and keeps `expire_seconds` (docs/facts/celery.md#expire-seconds-dropped).
"""

import logging
import time
from typing import Any

from celery import current_app
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.template.defaultfilters import pluralize
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import ModelEntry
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.practices import Finding
from workers.schedule import DESCRIPTION, gap_seconds
from workers.telemetry import pauses
from workers.telemetry.recurring_entries import missing_entries, recurring_entries

log = logging.getLogger(__name__)

HEARTBEAT = "beat:tick"  # the leading beat's key in the cache, which ends a minute after its last tick


def enable_entries() -> None:
    """Enables the entries of the code, and disables those that it no longer has, which beat would send for ever.

    What staff have paused stays disabled. For the leader alone: a beat that waits may be of another release.
    """
    code, paused = current_app.conf.beat_schedule, pauses.paused_entries()
    PeriodicTask.objects.filter(name__in=code.keys() - paused.keys()).update(enabled=True)
    PeriodicTask.objects.filter(description=DESCRIPTION).exclude(name__in=code).update(enabled=False)
    PeriodicTask.objects.filter(name__in=paused).update(enabled=False)


def restore_entries() -> None:
    """Undoes what somebody changed in the admin: disabled or deleted what is not paused, or enabled what is.

    The leading beat calls it every few seconds.
    """
    code, paused = current_app.conf.beat_schedule, pauses.paused_entries()
    if PeriodicTask.objects.filter(name__in=paused, enabled=True).update(enabled=False):
        PeriodicTasks.update_changed()
    is_enabled = dict(PeriodicTask.objects.filter(name__in=code).values_list("name", "enabled"))
    if lost := sorted(name for name in code.keys() - paused.keys() if not is_enabled.get(name)):
        log.warning("recurring_entries_restored entries=%s", lost)
        # update(): a disabled row that is saved forgets its last run, and so what is overdue.
        PeriodicTask.objects.filter(name__in=lost).update(enabled=True)
        PeriodicTasks.update_changed()  # beat reads the schedule anew
        for name in code.keys() - is_enabled.keys():
            ModelEntry.from_entry(name, app=current_app, **code[name])


def check() -> list[CheckMessage]:
    return [
        Error(
            f"The recurring entry {name!r} expires too late or never.",
            hint="Write it with schedule.every() or schedule.daily(), which compute the expiry.",
            id="practices.E501",
        )
        for name, entry in current_app.conf.beat_schedule.items()
        if entry.get("options", {}).get("expire_seconds", float("inf"))
        >= (gap_seconds(entry["schedule"]) or float("inf"))
    ]


def verify() -> Finding:
    """ok while each entry of the code is enabled, with expiry and queue, none is late unless paused, and beat ticks."""
    try:
        entries, missing = recurring_entries(), missing_entries()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    faults = [f"{entry.name}: {entry.problem}" for entry in entries if entry.problem]
    faults += [f"{entry.name} is late: are beat and its worker up?" for entry in entries if entry.is_late]
    if missing:
        faults.append(
            f"Not in the database: {', '.join(missing)}. The leading beat writes it within seconds: is it up?"
        )
    # Entries that share a task have the same counts.
    skipped = sum({entry.task: entry.expired + entry.refused for entry in entries}.values())
    summary = (
        f"{len(entries)} entr{pluralize(len(entries), 'y,ies')}, {skipped} run{pluralize(skipped)} skipped in a day"
    )
    paused = {each.pk: each for entry in entries for each in (entry.pause, entry.queue_pause) if each}
    summary = pauses.with_pauses(summary, paused.values())
    try:
        beat = _last_tick()
    except RedisError as error:
        reason = f"The cache did not answer, where beat leaves its heartbeat: {error}"
        reason = " ".join([*faults, reason])
        return Finding(False, summary, reason, skipped) if faults else Finding(None, summary, reason)
    if not beat:
        faults.append("No beat has ticked in the last minute: start it, or read its log.")
    ticked = f"beat ticked {time.time() - beat['at']:.0f} s ago" if beat else "no beat"
    return Finding(not faults, f"{summary}, {ticked}", " ".join(faults), skipped)


def _last_tick() -> dict[str, Any] | None:
    if beat := cache.get(HEARTBEAT):
        return dict(beat)
    get_redis_connection("default").ping()  # a cache that is away looks like an empty one
    return None
