"""A queue now and over time: its samples of a day, and its hours before."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from mediaapp.history.periods import FINE, PERIODS, Period, Window
from mediaapp.templatetags.time_charts import Series, TimeChart, merge_spans
from workers.models import QueueSample
from workers.practices.backlog import MAX_SAMPLE_AGE_SECONDS
from workers.queues import Queue
from workers.telemetry.queue_flow import QueueFlow, current_flows, read_flows

SAMPLES = """
    SELECT date_bin(%(step)s, taken_at, %(begins)s), max(waiting), max(coalesce(oldest_seconds, 0)), min(consumers)
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
    """flow: None without two samples in the last quarter of an hour."""

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
    return QueueNow(newest, current_flows().get(queue.name))


def queue_charts(queue: Queue, period: Period) -> list[TimeChart]:
    is_day = period == PERIODS["day"]
    window = Window.of(period, FINE if is_day else period.step)
    levels = _read_samples(queue, window) if is_day else _read_hours(queue, window)

    def series(name: str, value: Callable[[Level], float | None]) -> Series:
        return window.series(name, levels, value)

    late = (at for at, level in levels.items() if level.oldest_seconds > queue.target_seconds)
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
            failing=merge_spans(late, window.step),
            **times,
        ),
        TimeChart("In and out a minute", flow, **times),
    ]
    if is_day:
        charts.append(TimeChart("Consumers", [series("consumers", lambda level: level.consumers)], **times))
    return charts


def _read_samples(queue: Queue, window: Window) -> dict[datetime, Level]:
    flows = read_flows([queue.name], window.begins, window.step)
    levels = {at: Level(*level) for at, *level in _read(SAMPLES, queue, window)}
    return {
        at: replace(level, arriving=flow.arriving, finishing=flow.finishing)
        if (flow := flows.get((queue.name, at)))
        else level
        for at, level in levels.items()
    }


def _read_hours(queue: Queue, window: Window) -> dict[datetime, Level]:
    return {at: Level(*level) for at, *level in _read(HOURS, queue, window)}


def _read(statement: str, queue: Queue, window: Window) -> list[tuple[Any, ...]]:
    parameters: dict[str, Any] = {"queue": queue.name, "begins": window.begins, "step": window.step}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
