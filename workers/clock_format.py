"""Moments of the past and durations as people say them."""

from datetime import datetime, timedelta

from django.template.defaultfilters import date as format_date
from django.utils import timezone


def clock_time(moment: datetime) -> str:
    """As after the word "since": 14:02, Tuesday 14:02, 3 November 14:02."""
    local = timezone.localtime(moment)
    days = (timezone.localdate() - local.date()).days
    return format_date(local, "H:i" if days == 0 else "l H:i" if days < 7 else "j F H:i")


def exact_time(moment: datetime) -> str:
    """For a mail, which may be read on another day and in another time zone."""
    return format_date(timezone.localtime(moment), "l j F, H:i:s T")


def exact_duration(duration: timedelta) -> str:
    """Such as "1 h 2 min 3 s"."""
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def pause_sentence(name: str, paused_by: str, paused_at: datetime) -> str:
    return f"{name} is paused by {paused_by} since {clock_time(paused_at)}"
