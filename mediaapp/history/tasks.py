"""A task over time: its hours, its slowest runs, its failures, and its change against last week.

Of its runs only the last two hours are counted anew, because a day has hundreds of thousands. The rest is TaskHour.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from mediaapp.history.periods import HOUR, Period, Window, round_down
from mediaapp.templatetags.time_charts import TimeChart
from workers.models import Job, TaskHour, TaskRun
from workers.telemetry import slowdown
from workers.telemetry.outcomes import FAILED, FINISHED
from workers.telemetry.rollups import FIGURES, OF_FINISHED, OUTCOMES, kept_runs
from workers.telemetry.slowdown import TaskSpeed

LIVE_HOURS = 2  # of runs that are read, at most: the rollup comes every hour
SHOWN_RUNS, SLOWEST_RUNS = 10, 5  # a slow one is searched for in as many hours, each of thousands of runs
EXECUTED, SKIPPED = ("succeeded", "failed", "retried", "cancelled", "lost"), ("expired", "refused")
HOURS = f"""
    SELECT hour, outcomes, runs, {", ".join(FIGURES)} FROM workers_taskhour
    WHERE task = %(task)s AND hour >= %(begins)s AND hour < %(live)s
    UNION ALL
    SELECT date_trunc('hour', ended_at), {OUTCOMES}, count(run_seconds) {OF_FINISHED}, {", ".join(FIGURES.values())}
    FROM workers_taskrun WHERE task = %(task)s AND ended_at >= %(live)s GROUP BY 1"""  # noqa: S608 (of our own constants)


def _count(outcomes: tuple[str, ...]) -> str:
    counts = (f"coalesce((outcomes->>'{each}')::int, 0)" for each in outcomes)
    return f"sum({' + '.join(counts)})"


def _mean(figure: str) -> str:
    """Of the hours' percentiles, by their runs."""
    return f"(sum({figure} * runs) / nullif(sum(runs) FILTER (WHERE {figure} IS NOT NULL), 0))::float"


STEPS = f"""
    SELECT date_bin(%(step)s, hour, %(begins)s), {_count(EXECUTED)}, {_count(FAILED)}, {_count(SKIPPED)},
        {_mean("run_p50")}, {_mean("run_p95")}, max(run_max),
        {_mean("wait_p50")}, {_mean("wait_p95")}, max(wait_max), {_mean("peak_p95")}, max(peak_max)
    FROM ({HOURS}) AS hours GROUP BY 1 ORDER BY 1"""  # noqa: S608
# The slowest runs are in the hours of the slowest ones. None is quicker than the quickest of the longest runs of these.
SLOWEST = f"""
    WITH slow AS MATERIALIZED (
        SELECT hour, run_max FROM workers_taskhour
        WHERE task = %(task)s AND hour >= %(begins)s AND hour < %(live)s AND run_max IS NOT NULL
        ORDER BY run_max DESC LIMIT {SLOWEST_RUNS}
    ), least AS MATERIALIZED (
        SELECT CASE WHEN count(*) < {SLOWEST_RUNS} THEN 0 ELSE min(run_max) END AS seconds FROM slow
    )
    SELECT run.* FROM (SELECT hour FROM slow UNION SELECT generate_series(%(live)s, now(), interval '1 hour')) AS hours
    CROSS JOIN LATERAL (
        SELECT * FROM workers_taskrun
        WHERE task = %(task)s AND ended_at >= hours.hour AND ended_at < hours.hour + interval '1 hour'
            AND run_seconds >= (SELECT seconds FROM least)
        ORDER BY run_seconds DESC LIMIT {SLOWEST_RUNS}
    ) AS run ORDER BY run_seconds DESC LIMIT {SLOWEST_RUNS}"""  # noqa: S608


COUNTS = f"""
    SELECT task, {_count(EXECUTED)}, {_count(FAILED)} FROM workers_taskhour
    WHERE hour >= now() - interval '24 hours' GROUP BY task"""  # noqa: S608


@dataclass(frozen=True)
class Step:
    """The figures of one step of a chart: seconds and bytes. skipped: expired, or another run held the lock."""

    runs: int
    failed: int
    skipped: int
    run_p50: float | None
    run_p95: float | None
    run_max: float | None
    wait_p50: float | None
    wait_p95: float | None
    wait_max: float | None
    peak_p95: float | None
    peak_max: int | None


@dataclass(frozen=True)
class RecordedRun:
    """job: None if the run had none, or its row is gone."""

    run: TaskRun
    job: Job | None

    @property
    def error(self) -> str:
        """The end of a traceback; empty for a process that was killed."""
        return self.run.error or (self.job.error or self.job.detail if self.job else "")

    @property
    def last_line(self) -> str:
        return self.error.strip().rpartition("\n")[2]


@dataclass(frozen=True)
class TaskHistory:
    task: str
    window: Window
    rolled_up_at: datetime | None
    steps: dict[datetime, Step]

    @property
    def is_rollup_late(self) -> bool:
        """Whether runs may be missing between the newest hour, which was not over, and the runs that are read."""
        return self.rolled_up_at is not None and self.rolled_up_at < _live_from(self.rolled_up_at)

    @property
    def total(self) -> dict[str, float]:
        """Of the whole period. A missing key: nothing was measured."""
        steps = self.steps.values()
        counts = {name: sum(getattr(step, name) for step in steps) for name in ("runs", "failed", "skipped")}
        longest = {
            name: max(values)
            for name in ("run_max", "wait_max", "peak_max")
            if (values := [value for step in steps if (value := getattr(step, name)) is not None])
        }
        return counts | longest


def task_history(task: str, period: Period) -> TaskHistory:
    window = Window.of(period, period.step)
    newest = TaskHour.objects.order_by("-hour").values_list("hour", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute(STEPS, _parameters(task, window, newest))
        steps = {at: Step(*figures) for at, *figures in cursor.fetchall()}
    return TaskHistory(task, window, newest, steps)


def _parameters(task: str, window: Window, newest: datetime | None) -> dict[str, Any]:
    return {"task": task, "begins": window.begins, "step": window.step, "live": _live_from(newest)}


def _live_from(newest: datetime | None) -> datetime:
    """From there on runs are counted. The newest hour was not over when it was rolled up."""
    earliest = round_down(timezone.now(), HOUR) - (LIVE_HOURS - 1) * HOUR
    return max(newest or earliest, earliest)


def task_charts(history: TaskHistory) -> list[TimeChart]:
    window = history.window
    times: dict[str, Any] = {"begins": window.begins, "ends": window.ends, "deploys": window.deploys()}
    empty = "No run in this time."

    def chart(title: str, unit: str, **figures: Callable[[Step], float | None]) -> TimeChart:
        series = [window.series(name, history.steps, value) for name, value in figures.items()]
        return TimeChart(title, series, unit=unit, empty=empty, **times)

    return [
        chart("Runs", "", runs=lambda s: s.runs, failed=lambda s: s.failed),
        chart("Run time", "s", p50=lambda s: s.run_p50, p95=lambda s: s.run_p95),
        chart("Longest run", "s", longest=lambda s: s.run_max),
        chart("Wait in the queue", "s", p50=lambda s: s.wait_p50, p95=lambda s: s.wait_p95),
        chart("Longest wait", "s", longest=lambda s: s.wait_max),
        chart("Peak memory of a run", "bytes", p95=lambda s: s.peak_p95, largest=lambda s: s.peak_max),
    ]


def slowest_runs(task: str, period: Period) -> list[RecordedRun]:
    """Of the period, or of the 30 days for which runs are kept."""
    window = Window.of(period, HOUR)
    window = replace(window, begins=max(window.begins, timezone.now() - kept_runs()))
    newest = TaskHour.objects.order_by("-hour").values_list("hour", flat=True).first()
    return _with_jobs(TaskRun.objects.raw(SLOWEST, _parameters(task, window, newest)))


def newest_failures(task: str) -> list[RecordedRun]:
    return _with_jobs(TaskRun.objects.filter(task=task, outcome__in=FAILED).order_by("-ended_at")[:SHOWN_RUNS])


def _with_jobs(runs: Iterable[TaskRun]) -> list[RecordedRun]:
    runs = list(runs)
    rows = Job.objects.select_related("owner", "upload", "report").in_bulk([run.job_id for run in runs if run.job_id])
    return [RecordedRun(run, rows.get(run.job_id) if run.job_id else None) for run in runs]


def count_runs() -> dict[str, tuple[int, int]]:
    """Of the last 24 hours that were rolled up: the runs of each task, and how many failed."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS)
        return {task: (runs, failed) for task, runs, failed in cursor.fetchall()}


def ran_in_last_hour(task: str) -> bool:
    recent = TaskRun.objects.filter(task=task, ended_at__gt=timezone.now() - HOUR)
    return recent.filter(outcome__in=FINISHED).exists()


def compare_with_last_week(task: str) -> TaskSpeed | None:
    """None for a task without a run in the last hour, or without a day of history."""
    return next(iter(slowdown.compare_with_last_week(task)), None)
