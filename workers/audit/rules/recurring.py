"""Practice 5: entries of the schedule that never expire, or not before their next run."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from celery.utils.imports import symbol_by_name

from workers.audit.messages import Message, unknown
from workers.audit.project import Project, seconds_of
from workers.schedule import expires_after, gap_seconds


def find(project: Project) -> Iterator[Message]:
    scheduler = _scheduler(project)
    is_stored = scheduler is None or "DatabaseScheduler" in scheduler
    for name, entry in project.entries.items():
        yield from _entry(project, name, entry, is_stored)
    if scheduler is None:
        fault = f"beat's scheduler {project.app.conf.beat_scheduler} cannot be imported here."
        yield unknown("AUD501", fault, "Look where it keeps its entries, and when they expire.")
    elif "DatabaseScheduler" in scheduler:
        fault = "django-celery-beat keeps entries in the database, which the audit does not ask."
        hint = "Look in its admin: each entry needs Expire seconds, a little less than its interval."
        yield unknown("AUD501", fault, hint)
    elif "RedBeatScheduler" in scheduler:
        yield unknown("AUD501", "RedBeat keeps entries in Redis, which the audit does not ask.", "Look at them there.")


def _scheduler(project: Project) -> set[str] | None:
    """The names of the scheduler's classes, so that a class of the project's own counts as what it extends."""
    try:
        return {each.__name__ for each in symbol_by_name(project.app.conf.beat_scheduler).__mro__}
    except Exception:  # its module may need what is not installed here
        name = str(project.app.conf.beat_scheduler)
        return {"DatabaseScheduler"} if name.startswith("django_celery_beat") else None


def _entry(project: Project, name: str, entry: dict[str, Any], is_stored: bool) -> Iterator[Message]:
    options = entry.get("options") or {}
    gap = gap_seconds(entry["schedule"])
    wanted = f"{expires_after(gap):,} s" if gap else "a little less than the time to its next run"
    given = options.get("expire_seconds" if is_stored else "expires")
    if given is None:
        given = getattr(project.tasks.get(entry["task"]), "expires", None)
    hint = f"Let it expire after {wanted}."
    if is_stored:
        hint = f'Write options={{"expire_seconds": ...}}, {wanted}.'
    if given is None and is_stored and "expires" in options:
        fault = f"{name!r}: django-celery-beat drops the option expires, so its runs never expire."
        yield Message("practices.E501", fault, hint)
    elif given is None:
        yield Message("practices.E501", f"{name!r} never expires: its runs pile up while no worker is up.", hint)
    elif gap is None:
        fault = f"Nobody can tell from its schedule how far apart the runs of {name!r} are."
        yield unknown("practices.E501", fault, hint)
    elif isinstance(given, datetime) or (seconds_of(given) or 0) >= gap:
        until = given if isinstance(given, datetime) else f"{seconds_of(given):,.0f} s"
        fault = f"{name!r} expires after {until}, and is sent again after {gap:,.0f} s: two runs may wait."
        yield Message("practices.E501", fault, hint)
