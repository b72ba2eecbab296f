"""Line charts over time as server-side SVG: the Content-Security-Policy allows no inline style or script.

An SVG is stretched to its container, so its labels are HTML beside it. Each chart has a title and a table for screen
readers. A value of None, nothing measured, breaks the line.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django import template
from django.template.defaultfilters import date as format_date
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from workers.byte_format import format_bytes

register = template.Library()

WIDTH, HEIGHT, SPARK_HEIGHT = 720, 160, 32  # of the SVG's viewBox
MIN_SPAN = 8  # a tile shrinks the chart to a third
MAX_ROWS = 48  # of the table beside a chart
MAX_LIMIT_RATIO = 3  # of a limit to the highest value: above it, the line would be flat
MINUTE = 60
TIME_UNITS = {86_400: "days", 3600: "h", MINUTE: "min", 1: "s"}
Values = Sequence[tuple[datetime, float | None]]
Span = tuple[datetime, datetime]


@register.filter("seconds")
def format_seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    size = time_unit(seconds)
    return f"{format_number(seconds / size)} {TIME_UNITS[size]}"


def time_unit(seconds: float) -> int:
    """The largest of TIME_UNITS of which there are two, or nearly so, in seconds; but 90 s."""
    if seconds < 100:
        return 1
    return next(size for size in TIME_UNITS if seconds >= 2 * size or size == MINUTE)


@register.filter("figure")
def format_number(number: float) -> str:
    """Two digits at least, unless the last are zeros: 0.35, 7.4, 48, 1,204."""
    if number and abs(number) < 9.95:
        return f"{number:.{1 if abs(number) >= 0.95 else 2}f}".rstrip("0").rstrip(".")
    return f"{number:,.0f}"


FORMATS: dict[str, Callable[[float], str]] = {
    "": format_number,
    "a minute": lambda value: f"{format_number(value)} a minute",
    "s": format_seconds,
    "bytes": format_bytes,
    "%": lambda value: f"{format_number(value)} %",
    "times": lambda value: f"{format_number(value)} times",
}


@dataclass(frozen=True)
class Series:
    """values: by time. name: in the legend, in lower case."""

    name: str
    values: Values

    @property
    def measured(self) -> list[float]:
        return [value for _, value in self.values if value is not None]


@dataclass(frozen=True)
class TimeChart:
    """unit: a key of FORMATS. limit: a dashed line. deploys: releases and when they began.

    failing: the times in which the state did not hold. They are red. unknown_minutes: in which nobody knew.
    empty: what the chart says without a value.
    """

    title: str
    series: Sequence[Series]
    begins: datetime
    ends: datetime
    unit: str = ""
    limit: float | None = None
    limit_name: str = "limit"
    deploys: Sequence[tuple[datetime, str]] = ()
    failing: Sequence[Span] = ()
    unknown_minutes: int = 0
    empty: str = "No sample yet."

    def format(self, value: float | None) -> str:
        return "\u2013" if value is None else FORMATS[self.unit](value)

    @property
    def top(self) -> float:
        highest = max((value for series in self.series for value in series.measured), default=0.0)
        if self.limit and (not highest or self.limit <= MAX_LIMIT_RATIO * highest):
            highest = max(highest, self.limit)
        size = time_unit(highest) if self.unit == "s" else 1
        return size * next_round(highest / size) or 1.0

    @cached_property
    def sparkline(self) -> SafeString:
        """A small chart of one series, without labels: its title says the figures. Kept, for many polls show it."""
        scale = Scale(self.begins, self.ends, self.top, SPARK_HEIGHT)
        context = {
            "chart": self,
            "height": SPARK_HEIGHT,
            "is_empty": not self.series[0].measured,
            "lines": [_lines(scale, self.series[0].values)],
            "failing": [scale.span(span) for span in self.failing],
            "summary": _summary(self),
        }
        return render_to_string("operations/_sparkline.html", context)

    @property
    def day_format(self) -> str:
        return "D j M, H:i" if self.ends - self.begins <= timedelta(days=8) else "j M Y"


@register.inclusion_tag("operations/_time_chart.html")
def time_chart(chart: TimeChart) -> dict[str, Any]:
    scale = Scale(chart.begins, chart.ends, chart.top, HEIGHT)
    return {
        "chart": chart,
        "height": HEIGHT,
        "is_empty": not any(series.measured for series in chart.series),
        "legend": [_legend(chart, series) for series in chart.series],
        "lines": [_lines(scale, series.values) for series in chart.series],
        "limit": _limit(chart, scale),
        "failing": [scale.span(span) for span in chart.failing],
        "deploys": [(scale.x(at), release, at) for at, release in chart.deploys if chart.begins <= at <= chart.ends],
        "top": chart.format(chart.top),
        "first": format_moment(chart.begins, chart.day_format),
        "last": format_moment(chart.ends, chart.day_format),
        "rows": _rows(chart),
        "is_grouped": any(len(series.values) > MAX_ROWS for series in chart.series),
    }


@dataclass(frozen=True)
class Scale:
    begins: datetime
    ends: datetime
    top: float
    height: int

    def x(self, at: datetime) -> float:
        share = (at - self.begins) / (self.ends - self.begins)
        return round(min(max(share, 0), 1) * WIDTH, 1)

    def y(self, value: float) -> float:
        return round(self.height * (1 - min(value / self.top, 1)), 1)

    def span(self, span: Span) -> dict[str, Any]:
        """At least so wide that it is seen, on a tile too."""
        width = max(round(self.x(span[1]) - self.x(span[0]), 1), MIN_SPAN)
        x = min(self.x(span[0]), WIDTH - width)
        return {"x": x, "width": width, "began_at": span[0], "ended_at": span[1]}


def _lines(scale: Scale, values: Values) -> list[dict[str, str]]:
    """A path for each stretch without a gap, and the outline of its wash."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for at, value in values:
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append((scale.x(at), scale.y(value)))
    return [_line(points, scale.height) for points in stretches if points]


def _line(points: list[tuple[float, float]], height: int) -> dict[str, str]:
    path = "M" + " L".join(f"{x},{y}" for x, y in points)
    # A single value is a line of no length, whose round ends make a dot.
    return {"path": path if points[1:] else f"{path} h0", "wash": f"{path} V{height} H{points[0][0]} Z"}


def _limit(chart: TimeChart, scale: Scale) -> dict[str, Any] | None:
    if not chart.limit:
        return None
    return {"y": scale.y(chart.limit), "is_shown": chart.limit <= chart.top, "text": chart.format(chart.limit)}


def _legend(chart: TimeChart, series: Series) -> dict[str, str]:
    return {"name": series.name, "last": _last(chart, series)}


def _last(chart: TimeChart, series: Series) -> str:
    """Of the last two steps, because the last one may just have begun."""
    newest = [value for _, value in series.values[-2:] if value is not None]
    return chart.format(newest[-1] if newest else None)


def _rows(chart: TimeChart) -> list[tuple[str, list[str]]]:
    """Of the table, MAX_ROWS at most: the time, and the highest value of each series until the next row."""
    size = math.ceil(max((len(series.values) for series in chart.series), default=0) / MAX_ROWS)
    if not size:
        return []
    groups = [list(_highest(series.values, size)) for series in chart.series]
    times = max(groups, key=len)
    return [
        (
            format_moment(at, chart.day_format),
            [chart.format(group[place][1]) if place < len(group) else "\u2013" for group in groups],
        )
        for place, (at, _) in enumerate(times)
    ]


def _highest(values: Values, size: int) -> Iterable[tuple[datetime, float | None]]:
    for start in range(0, len(values), size):
        group = values[start : start + size]
        yield group[0][0], max((value for _, value in group if value is not None), default=None)


def _summary(chart: TimeChart) -> str:
    measured = chart.series[0].measured
    if not measured:
        return f"{chart.title}: {chart.empty}"
    text = f"{chart.title}: last {_last(chart, chart.series[0])}, highest {chart.format(max(measured))}"
    minutes = sum(((end - start).total_seconds() for start, end in chart.failing), 0.0) / 60
    failing = f" It did not hold for {max(minutes, 1):.0f} min." if chart.failing else ""
    unknown = f" It was unknown for {chart.unknown_minutes} min." if chart.unknown_minutes else ""
    return f"{text}.{failing}{unknown}"


def merge_spans(moments: Iterable[datetime], length: timedelta) -> list[Span]:
    """A span of that length from each moment, in their order. Those with less than a length between them are one."""
    spans: list[Span] = []
    for at in moments:
        if spans and at - spans[-1][1] < length:
            spans[-1] = spans[-1][0], at + length
        else:
            spans.append((at, at + length))
    return spans


def next_round(value: float) -> float:
    """The next of 1, 2, 3, 5 and 10 times a power of ten."""
    if value <= 0:
        return 0.0
    power: float = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 5, 10) if step * power >= value * 0.999)


def format_moment(moment: datetime, form: str) -> str:
    return format_date(timezone.localtime(moment), form)
