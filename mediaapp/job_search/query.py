"""Reads what staff type into the search box.

A word matches a job's id, owner, file, task or error; `field:value` looks in one field. All of them must match.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from workers.models import Job
from workers.queues import table

TERM = re.compile(r'(?:([A-Za-z_]+):)?(?:"([^"]*)"|(\S+))')
# PostgreSQL finds a text by three letters or digits that follow each other; it would read the whole table for less.
SEARCHABLE = re.compile(r"[^\W_]{3}")
ID_PREFIX = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}", re.IGNORECASE)
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
AGE = re.compile(r"(\d{1,4}(?:\.\d{1,2})?)([mhdw])")
FIRST_YEAR, LAST_YEAR = 1970, 9999  # a date near the ends of the calendar has no day before or after it
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAYS = {"today": 0, "yesterday": 1}  # ago
FIELDS = ("id", "owner", "file", "task", "queue", "state", "error", "since", "before", "on")
MAX_CHARACTERS, MAX_TERMS = 400, 10


@dataclass(frozen=True)
class Query:
    """since, before: of the moment when a job was queued, started or ended last.

    problems: sentences; a query with one finds nothing.
    """

    words: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    before: datetime | None = None
    problems: tuple[str, ...] = field(default=())


def read_query(text: str) -> Query:
    """Never raises."""
    terms = [(name.lower(), quoted or plain) for name, quoted, plain in TERM.findall(text[:MAX_CHARACTERS])]
    terms = [(name, value.replace("\x00", "").strip()) for name, value in terms]
    problems = [problem for name, value in terms if (problem := problem_of(name, value))]
    if len(terms) > MAX_TERMS or len(text) > MAX_CHARACTERS:
        problems.append(f"That is too much at once: {MAX_TERMS} words and {MAX_CHARACTERS} characters at most.")
    if problems:
        return Query(problems=tuple(problems))
    times = {name: value for name, value in terms if name in ("since", "before")}
    since, before = (read_time(times[name]) if name in times else None for name in ("since", "before"))
    for day in (read_day(value) for name, value in terms if name == "on"):
        since = max(filter(None, (since, day)))
        before = min(filter(None, (before, day + timedelta(days=1))))
    values = tuple((name, value) for name, value in terms if name and name not in ("since", "before", "on"))
    return Query(tuple(value for name, value in terms if not name), values, since, before)


def problem_of(name: str, value: str) -> str:
    """A sentence, or nothing."""
    if name and name not in FIELDS:
        return f"There is no field “{name}”. The fields are {', '.join(FIELDS)}. Quotes search for a text with a colon."
    if not name and value.endswith(":") and value[:-1].lower() in FIELDS:
        return f"“{value}” needs its value without a space: {value}…"
    if name in ("since", "before") and read_time(value) is None:
        return f"“{value}” is no time: write 30m, 1.5h, 3d, 2w, today, 2026-11-27 or 2026-11-27T14:00."
    if name == "on" and read_time(value, days_only=True) is None:
        return f"“{value}” is no day: write it as 2026-11-27, today or yesterday."
    if name == "state" and value not in Job.State.values:
        return f"There is no state “{value}”. The states are {', '.join(Job.State.values)}."
    if name == "queue" and value not in table().queues:
        return f"There is no queue “{value}”. The queues are {', '.join(table().queues)}."
    if name == "id" and not ID_PREFIX.fullmatch(value):
        return f"“{value}” is no id: write it, or its first four digits or more."
    if name in ("", "owner", "file", "error") and not SEARCHABLE.search(value):
        return f"“{value}” is too short: three letters or digits in a row at least."
    return ""


def read_time(text: str, *, days_only: bool = False) -> datetime | None:
    """A moment, or the beginning of a day. None if it is neither."""
    age = AGE.fullmatch(text)
    if age and not days_only:
        return timezone.now() - timedelta(**{UNITS[age[2]]: float(age[1])})
    if text.lower() in DAYS:
        text = (timezone.localdate() - timedelta(days=DAYS[text.lower()])).isoformat()
    try:
        day, moment = parse_date(text), None if days_only else parse_datetime(text)
    except ValueError:  # such as 2026-02-31
        return None
    moment = datetime.combine(day, time()) if day else moment
    if moment is None or not FIRST_YEAR < moment.year < LAST_YEAR:
        return None
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def read_day(text: str) -> datetime:
    day = read_time(text, days_only=True)
    if day is None:
        raise ValueError(text)
    return day


def id_range(prefix: str) -> tuple[UUID, UUID]:
    """The lowest and the highest id that begin so."""
    digits = prefix.replace("-", "")[:32]
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
