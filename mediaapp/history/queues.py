"""A queue now and over time: its samples of a day, and its hours before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection
from django.utils import timezone

from mediaapp.history.periods import FINE, PERIODS, Period, Window
from mediaapp.templatetags.time_charts import Series, Span, TimeChart
from workers.models import QueueSample
from workers.practices.backlog import MAX_SAMPLE_AGE_SECONDS
from workers.queues import Queue
from workers.telemetry.queue_flow import WINDOW, QueueFlow

SAMPLES = """
    SELECT date_bin(%(step)s, taken_at, %(begins)s), max(waiting), max(coalesce(oldest_seconds, 0)), min(consumers),
        max(finished), (array_agg(waiting + coalesce(unacked, 0) ORDER BY taken_at DESC)
            FILTER (WHERE waiting IS NOT NULL AND finished IS NOT NULL))[1]
    FROM workers_queuesample WHERE queue = %(queue)s AND taken_at >= %(begins)s GROUP BY 1 ORDER BY 1"""
# The newest hour is not over, or was not when it was rolled up.
HOURS = """
    SELECT date_bin(%(step)s, hour, %(begins)s), max(waiting_max), max(coalesce(oldest_max, 0)), NULL,
        (sum(arrived) / (60.0 * nullif(count(arrived), 0)))::float,
        (sum(finished) / (60.0 * nullif(count(finished), 0)))::float
    FROM workers_queuehour WHERE queue = %(queue)s AND hour >= %(begins)s
        AND hour < (SELECT max(hour) FROM workers_queuehour WHERE queue = %(queue)s)
    GROUP BY 1 ORDER BY 1"""


@dataclass(frozen=True)
class QueueNow:
    """The newest sample, and the flow of the last quarter of an hour: None without two samples in it."""

    sample: QueueSample
    flow: QueueFlow | None

    @property
    def age_seconds(self) -> float:
        return (timezone.now() - self.sample.taken_at).total_seconds()

    @property
    def is_stale(self) -> bool:
        return self.age_seconds > MAX_SAMPLE_AGE_SECONDS


@dataclass(frozen=True)
class Level:
    """The figures of one step of a chart. arriving, finishing: messages a minute."""

    waiting: int | None
    oldest_seconds: float
    consumers: int | None
    arriving: float | None = None
    finishing: float | None = None


def read_now(queue: Queue) -> QueueNow | None:
    """None before the first sample."""
    samples = QueueSample.objects.filter(queue=queue.name)
    newest = samples.order_by("-taken_at").first()
    if newest is None:
        return None
    known = samples.filter(taken_at__gte=newest.taken_at - WINDOW, waiting__isnull=False, finished__isnull=False)
    recent = list(known.order_by("taken_at"))
    return QueueNow(newest, _flow(recent[0], recent[-1]) if len(recent) > 1 else None)


def _flow(first: QueueSample, last: QueueSample) -> QueueFlow:
    minutes = (last.taken_at - first.taken_at).total_seconds() / 60
    finishing = ((last.finished or 0) - (first.finished or 0)) / minutes
    growth = (_messages(last) - _messages(first)) / minutes
    seconds_to_empty = _messages(last) / -growth * 60 if growth < 0 else None
    return QueueFlow(max(0.0, finishing + growth), finishing, seconds_to_empty)


def _messages(sample: QueueSample) -> int:
    return (sample.waiting or 0) + (sample.unacked or 0)


def queue_charts(queue: Queue, period: Period) -> list[TimeChart]:
    is_day = period == PERIODS["day"]
    window = Window.of(period, FINE if is_day else period.step)
    levels = _read_samples(queue, window) if is_day else _read_hours(queue, window)

    def series(name: str, value: Callable[[Level], float | None]) -> Series:
        return window.series(name, levels, value)

    times: dict[str, Any] = {"begins": window.begins, "ends": window.ends, "deploys": window.deploys()}
    flow = [series("in", lambda level: level.arriving), series("out", lambda level: level.finishing)]
    charts = [
        TimeChart("Waiting", [series("waiting", lambda level: level.waiting)], **times),
        TimeChart(
            "Age of the oldest",
            [series("oldest", lambda level: level.oldest_seconds)],
            unit="s",
            limit=queue.target_seconds,
            limit_name="target",
            failing=_late_spans(levels, queue.target_seconds, window.step),
            **times,
        ),
        TimeChart("In and out a minute", flow, **times),
    ]
    if is_day:
        charts.append(TimeChart("Consumers", [series("consumers", lambda level: level.consumers)], **times))
    return charts


def _read_samples(queue: Queue, window: Window) -> dict[datetime, Level]:
    rows = _read(SAMPLES, queue, window)
    flows: dict[datetime, tuple[float, float]] = {}
    for (before, *_, ended_before, messages_before), (at, *_, ended, messages) in pairwise(rows):
        if (
            window.is_over(at)
            and at - before == window.step
            and None not in (ended_before, messages_before, ended, messages)
        ):
            minutes = window.step.total_seconds() / 60
            finishing = (ended - ended_before) / minutes
            flows[at] = max(0.0, finishing + (messages - messages_before) / minutes), finishing
    return {at: Level(*level, *flows.get(at, (None, None))) for at, *level, _, _ in rows}


def _read_hours(queue: Queue, window: Window) -> dict[datetime, Level]:
    return {at: Level(*level) for at, *level in _read(HOURS, queue, window)}


def _read(statement: str, queue: Queue, window: Window) -> list[tuple[Any, ...]]:
    parameters: dict[str, Any] = {"queue": queue.name, "begins": window.begins, "step": window.step}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _late_spans(levels: Mapping[datetime, Level], target_seconds: int, step: timedelta) -> list[Span]:
    """The times in which the oldest had waited for too long."""
    spans: list[Span] = []
    for at in (at for at, level in levels.items() if level.oldest_seconds > target_seconds):
        if spans and spans[-1][1] == at:
            spans[-1] = spans[-1][0], at + step
        else:
            spans.append((at, at + step))
    return spans
