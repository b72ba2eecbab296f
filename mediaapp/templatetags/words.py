"""Figures and times in the words of the pages. Nothing here asks the database."""

from datetime import datetime
from typing import Any

from django import template
from django.template.defaultfilters import date as format_date
from django.utils import timezone

register = template.Library()

MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = ("kB", "MB", "GB", "TB")


@register.filter
def size(count: float) -> str:
    """Bytes as people count them, in thousands, like the limits: 48 MB, 7.4 MB."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in UNITS:
        count /= 1000
        if count < 999.5 or unit == UNITS[-1]:
            break
    return f"{count:.1f}".removesuffix(".0") + f" {unit}" if count < 9.95 else f"{count:,.0f} {unit}"


@register.filter
def clock(seconds: float) -> str:
    """A length as players show it: 0:07, 12:04, 1:02:03."""
    minutes, second = divmod(int(seconds), MINUTE)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


@register.filter
def span(seconds: float) -> str:
    """A wait or a rest, as rough as one would say it: 3 s, 4 min, 2 h, 3 days."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 100 * MINUTE:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"


@register.filter
def seconds_until(start: datetime, end: datetime) -> float:
    """The seconds from one moment to a later one."""
    return (end - start).total_seconds()


@register.filter
def age(moment: datetime) -> float:
    """How many seconds ago it was."""
    return (timezone.now() - moment).total_seconds()


@register.filter
def until(moment: datetime) -> str:
    """How long it is until then: 7 s, 3 h."""
    return span(-age(moment))


@register.filter
def task_name(task: str) -> str:
    """The last word of a task's name: sweep_jobs."""
    return task.rpartition(".")[2]


@register.filter
def ago(moment: datetime) -> str:
    """How long ago it was, or from last week on the day: just now, 2 min ago, yesterday, 5 Mar 2026."""
    seconds = age(moment)
    if seconds < 45:
        return "just now"
    days = (timezone.localdate() - timezone.localdate(moment)).days
    if seconds < 100 * MINUTE:
        return f"{max(seconds / MINUTE, 1):.0f} min ago"
    if days == 0 or seconds < 6 * HOUR:
        return f"{span(seconds)} ago"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 7 else format_date(timezone.localtime(moment), "j M Y")


@register.filter
def percent(state: dict[str, Any]) -> int:
    """How much of a job is done. Rounded down: 100 is the end and nothing before it."""
    return int(100 * state["done"] / state["total"]) if state["total"] else 0


@register.filter
def change(before: float, after: float) -> str:
    """What became of a size: 66 % smaller."""
    share = round(100 * (before - after) / before) if before else 0
    if share == 0:
        return "the same"
    return f"{share} % smaller" if share > 0 else f"{-share} % larger"


ENCODINGS = {
    "windows-1252": "Windows-1252",
    "cp1250": "Windows-1250, Central European",
    "cp1251": "Windows-1251, Cyrillic",
    "cp1253": "Windows-1253, Greek",
    "cp1254": "Windows-1254, Turkish",
    "mac_roman": "Mac Roman",
    "cp850": "DOS 850, Western European",
    "shift_jis": "Shift JIS, Japanese",
    "gb18030": "GB 18030, Chinese",
    "big5": "Big5, Chinese",
    "euc_kr": "EUC-KR, Korean",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
QUOTES = {'"': 'Double: "', "'": "Single: '", '\\"': 'Double, with a backslash inside: \\"'}
DECIMALS = {".": "1,234.56", ",": "1.234,56"}
DATES = {"ymd": "2026-12-31", "dmy": "31.12.2026", "mdy": "12/31/2026"}


@register.filter
def encoding(codec: str) -> str:
    """A Python codec by the name that spreadsheets use."""
    return ENCODINGS.get(codec, codec.removesuffix("-sig").upper())


@register.filter
def delimiter(character: str) -> str:
    """What stands between the cells, in words."""
    return DELIMITERS.get(character, character)


@register.filter
def date_form(order: str) -> str:
    """A day as it is written in that order."""
    return DATES.get(order, order)


@register.simple_tag
def choice(name: str, value: str) -> str:
    """A value of a CSV's dialect, as a person chooses it."""
    if name == "encoding":
        return encoding(value or "utf-8")
    words = {"delimiter": DELIMITERS, "quote": QUOTES, "decimal": DECIMALS, "dates": DATES}[name]
    return words.get(value, value).capitalize()
