"""The load of each queue in the last week, from the rows of task runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from workers.capacity.queueing import Load
from workers.queues import Queue, table

WINDOW = timedelta(days=7)
HOUR = timedelta(hours=1)
MIN_RUNS = 20  # fewer give no p95
RAN = """
    SELECT queue, run_seconds AS run, wait_seconds AS wait,
        ended_at - make_interval(secs => run_seconds + wait_seconds) AS arrived
    FROM workers_taskrun
    WHERE ended_at >= %(since)s AND outcome IN ('succeeded', 'failed', 'cancelled', 'lost')
        AND run_seconds IS NOT NULL AND wait_seconds IS NOT NULL"""
BY_QUEUE = f"""
    WITH ran AS ({RAN}), hours AS (SELECT queue, count(*) AS came FROM ran GROUP BY queue, date_trunc('hour', arrived))
    SELECT queue, count(*), (SELECT max(came) FROM hours WHERE hours.queue = ran.queue), avg(run), stddev_pop(run),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY wait), avg((wait <= target)::int)::float,
        extract(epoch FROM now() - min(arrived))::float
    FROM ran JOIN unnest(%(queues)s::text[], %(targets)s::float[]) AS wanted (queue, target) USING (queue)
    GROUP BY queue"""  # noqa: S608 (of our own constants)
REQUEUED = """
    SELECT queue, count(*) FROM workers_taskrun WHERE ended_at >= %(since)s AND outcome = 'retried' GROUP BY queue"""
BUSIEST = f"""
    SELECT date_trunc('hour', arrived) AS hour FROM ({RAN}) AS ran
    WHERE queue = ANY(%(queues)s) GROUP BY hour ORDER BY sum(run) DESC, hour LIMIT 1"""  # noqa: S608
BETWEEN = f"""
    WITH came AS (
        SELECT run, wait, extract(epoch FROM arrived - lag(arrived) OVER (ORDER BY arrived))::float AS gap
        FROM ({RAN}) AS ran WHERE queue = ANY(%(queues)s) AND arrived >= %(since)s AND arrived < %(until)s
    )
    SELECT count(*), avg(run), var_pop(run), avg(gap), var_pop(gap), avg(wait),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY wait)
    FROM came"""  # noqa: S608


@dataclass(frozen=True)
class QueueHistory:
    """In the WINDOW, or since the first run.

    requeued: runs that `runs` leaves out. busiest_per_minute: arrivals in the busiest hour.
    """

    queue: Queue
    runs: int
    requeued: int
    arrivals_per_minute: float
    busiest_per_minute: float
    mean_run_seconds: float
    run_deviation_seconds: float
    wait_p95_seconds: float
    share_in_target: float

    @property
    def is_known(self) -> bool:
        return self.runs >= MIN_RUNS


@dataclass(frozen=True)
class LoadSample:
    """is_assumed: too few runs to measure how much they vary."""

    since: datetime
    runs: int
    load: Load
    mean_wait_seconds: float
    wait_p95_seconds: float
    is_assumed: bool = False


def queue_histories() -> list[QueueHistory]:
    """Leaves out queues without a run."""
    since = timezone.now() - WINDOW
    requeued = dict(_rows(REQUEUED, since))
    targets = [float(queue.target_seconds) for queue in table().queues.values()]
    found = {row[0]: row[1:] for row in _rows(BY_QUEUE, since, queues=list(table().queues), targets=targets)}
    return [
        _history(queue, requeued.get(name, 0), *found[name]) for name, queue in table().queues.items() if name in found
    ]


def _history(queue: Queue, requeued: int, runs: int, most: int, *figures: float) -> QueueHistory:
    """figures: the other columns of BY_QUEUE."""
    *measured, seconds = figures
    minutes = min(seconds, WINDOW.total_seconds()) / 60
    return QueueHistory(queue, runs, requeued, runs / minutes, most / min(minutes, 60), *measured)


def busiest_hour(queues: Sequence[Queue]) -> LoadSample | None:
    """The hour in which most work arrived. None with fewer than MIN_RUNS runs."""
    now = timezone.now()
    week = between(queues, now - WINDOW, now)
    if week is None or week.runs < MIN_RUNS:
        return None
    ((hour,),) = _rows(BUSIEST, now - WINDOW, queues=[queue.name for queue in queues])
    return hour_of(queues, hour)


def hour_of(queues: Sequence[Queue], since: datetime) -> LoadSample | None:
    """None if nothing arrived.

    With fewer than MIN_RUNS runs, arrivals count as Poisson's, and run times vary as in the whole WINDOW.
    """
    now = timezone.now()
    found = between(queues, since, min(now, since + HOUR))
    week = between(queues, now - WINDOW, now)
    if found is None or week is None or found.runs >= MIN_RUNS:
        return found
    load = replace(found.load, arrivals_scv=1.0, runs_scv=week.load.runs_scv)
    return replace(found, load=load, is_assumed=True)


def between(queues: Sequence[Queue], since: datetime, until: datetime) -> LoadSample | None:
    """None if nothing arrived."""
    row = _rows(BETWEEN, since, until=until, queues=[queue.name for queue in queues])[0]
    runs, run, run_variance, gap, gap_variance, mean_wait, wait_p95 = row
    if not runs:
        return None
    arrivals = runs / (until - since).total_seconds()
    load = Load(arrivals, run, _scv(gap_variance, gap), _scv(run_variance, run))
    return LoadSample(since, runs, load, mean_wait, wait_p95)


def _scv(variance: float | None, mean: float | None) -> float:
    """The squared coefficient of variation; 1 where it is unknown."""
    return variance / mean**2 if variance is not None and mean else 1.0


def _rows(query: str, since: datetime, **parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"since": since} | parameters)
        return list(cursor.fetchall())
