"""Template filters. None of them queries the database."""

from datetime import datetime
from typing import Any

from django import template
from django.template.defaultfilters import date as format_date
from django.utils import timezone

from mediaapp.templatetags.time_charts import TIME_UNITS, time_unit
from workers.byte_format import format_bytes
from workers.clock_format import clock_time

register = template.Library()

MINUTE, HOUR = 60, 3600

register.filter("human_size", format_bytes)
register.filter("since", clock_time)


@register.filter
def begins_with(text: str, begin: str) -> bool:
    return text.startswith(begin)


@register.filter
def playing_time(seconds: float) -> str:
    minutes, second = divmod(int(seconds), MINUTE)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


@register.filter
def duration(seconds: float) -> str:
    """Rounded to whole numbers of the unit that charts use too. operations.js does the same."""
    size = time_unit(seconds)
    return f"{max(seconds, 0) / size:.0f} {TIME_UNITS[size]}"


@register.filter
def seconds_until(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


@register.filter
def age_seconds(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()


@register.filter
def time_until(moment: datetime) -> str:
    return duration(-age_seconds(moment))


@register.filter
def task_name(task: str) -> str:
    return task.rpartition(".")[2]


@register.filter
def ago(moment: datetime) -> str:
    seconds = age_seconds(moment)
    if seconds < 45:
        return "just now"
    days = (timezone.localdate() - timezone.localdate(moment)).days
    if seconds < 2 * HOUR:
        return f"{max(seconds / MINUTE, 1):.0f} min ago"
    if days == 0 or seconds < 6 * HOUR:
        return f"{duration(seconds)} ago"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 7 else format_date(timezone.localtime(moment), "j M Y")


@register.filter
def percent_done(state: dict[str, Any]) -> int:
    """Rounds down, so that only a finished job shows 100."""
    return int(100 * state["done"] / state["total"]) if state["total"] else 0


@register.filter
def size_change(before: float, after: float) -> str:
    share = round(100 * (before - after) / before) if before else 0
    if share == 0:
        return "the same"
    return f"{share} % smaller" if share > 0 else f"{-share} % larger"


ENCODING_NAMES = {
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
DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
QUOTE_NAMES = {'"': 'Double: "', "'": "Single: '", '\\"': 'Double, with a backslash inside: \\"'}
NUMBER_EXAMPLES = {".": "1,234.56", ",": "1.234,56"}
DATE_EXAMPLES = {"ymd": "2026-12-31", "dmy": "31.12.2026", "mdy": "12/31/2026"}


@register.filter
def encoding_name(codec: str) -> str:
    return ENCODING_NAMES.get(codec, codec.removesuffix("-sig").upper())


@register.filter
def delimiter_name(character: str) -> str:
    return DELIMITER_NAMES.get(character, character)


@register.filter
def date_example(order: str) -> str:
    return DATE_EXAMPLES.get(order, order)


@register.simple_tag
def dialect_value(name: str, value: str) -> str:
    if name == "encoding":
        return encoding_name(value or "utf-8")
    labels = {"delimiter": DELIMITER_NAMES, "quote": QUOTE_NAMES, "decimal": NUMBER_EXAMPLES, "dates": DATE_EXAMPLES}[
        name
    ]
    return labels.get(value, value).capitalize()
