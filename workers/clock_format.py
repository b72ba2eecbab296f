"""A moment of the past as people say it."""

from datetime import datetime

from django.template.defaultfilters import date as format_date
from django.utils import timezone


def clock_time(moment: datetime) -> str:
    """Such as "14:02", and "Tuesday 24 November 14:02" unless it is today."""
    local = timezone.localtime(moment)
    return format_date(local, "H:i" if local.date() == timezone.localdate() else "l j F H:i")


def pause_sentence(name: str, paused_by: str, paused_at: datetime) -> str:
    return f"{name} is paused by {paused_by} since {clock_time(paused_at)}"
