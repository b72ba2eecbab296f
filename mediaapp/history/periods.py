"""The times that a page shows, and how their values become a chart without invented lines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.http import HttpRequest
from django.utils import timezone

from mediaapp.templatetags.time_charts import Series
from workers.models import Deploy

Row = TypeVar("Row")
FINE, HOUR = timedelta(minutes=5), timedelta(hours=1)


@dataclass(frozen=True)
class Period:
    """step: between two values of a chart of hours."""

    name: str
    label: str
    length: timedelta
    step: timedelta


PERIODS = {
    period.name: period
    for period in (
        Period("day", "24 hours", timedelta(days=1), HOUR),
        Period("month", "30 days", timedelta(days=30), timedelta(hours=3)),
        Period("year", "A year", timedelta(days=365), timedelta(days=1)),
    )
}


def chosen_period(request: HttpRequest) -> Period:
    """That of `?period=`; a day for anything else."""
    return PERIODS.get(request.GET.get("period", ""), PERIODS["day"])


@dataclass(frozen=True)
class Window:
    """Until now, in steps that begin at round times, so that a value does not change with each view."""

    begins: datetime
    ends: datetime
    step: timedelta

    @classmethod
    def of(cls, period: Period, step: timedelta) -> "Window":
        now = timezone.now()
        return cls(round_down(now - period.length, step), now, step)

    @property
    def moments(self) -> list[datetime]:
        return [self.begins + place * self.step for place in range((self.ends - self.begins) // self.step + 1)]

    def series(self, name: str, rows: Mapping[datetime, Row], value: Callable[[Row], float | None]) -> Series:
        """rows: by the beginning of their step. A step without a row has no value."""
        return Series(name, [(at, value(rows[at]) if at in rows else None) for at in self.moments])

    def deploys(self) -> list[tuple[datetime, str]]:
        newest = Deploy.objects.filter(began_at__gte=self.begins).order_by("began_at")
        return list(newest.values_list("began_at", "release"))


def round_down(moment: datetime, step: timedelta) -> datetime:
    """To a multiple of the step since the epoch."""
    seconds = step.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, moment.tzinfo)
