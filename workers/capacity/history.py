"""What came to each queue and each worker lately, and how long it waited and ran: from the rows of task runs.

Not from the jobs: those of mails are deleted after a day, and what beat sends has none. A run that handed its job back
(its table was taken, its worker stopped) counts as one that came again: its next wait begins anew.
"""

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
LEAST = 20  # runs, below which nothing is said: one in twenty is the p95
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
CAME_AGAIN = """
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
class QueueWeek:
    """A queue in the WINDOW, or since its first run. a_minute, busiest: arrivals a minute on average, in its best hour.

    run, deviation, wait_p95: seconds. met: the share that waited no longer than the queue's target.
    """

    queue: Queue
    runs: int
    came_again: int
    a_minute: float
    busiest: float
    run: float
    deviation: float
    wait_p95: float
    met: float

    @property
    def is_known(self) -> bool:
        """Whether there were enough runs to say anything."""
        return self.runs >= LEAST


@dataclass(frozen=True)
class Span:
    """What came between two moments. mean_wait, wait_p95: seconds, as measured.

    guessed: there were too few to tell how much they vary.
    """

    since: datetime
    runs: int
    load: Load
    mean_wait: float
    wait_p95: float
    guessed: bool = False


def by_queue() -> list[QueueWeek]:
    """Every queue of the table that ran anything, in its order. Raises DatabaseError."""
    since = timezone.now() - WINDOW
    again = dict(_rows(CAME_AGAIN, since))
    targets = [float(queue.target_seconds) for queue in table().queues.values()]
    found = {row[0]: row[1:] for row in _rows(BY_QUEUE, since, queues=list(table().queues), targets=targets)}
    return [_week(queue, again.get(name, 0), *found[name]) for name, queue in table().queues.items() if name in found]


def _week(queue: Queue, again: int, runs: int, most: int, run: float, deviation: float, *rest: float) -> QueueWeek:
    wait_p95, met, seconds = rest
    minutes = min(seconds, WINDOW.total_seconds()) / 60
    return QueueWeek(queue, runs, again, runs / minutes, most / min(minutes, 60), run, deviation, wait_p95, met)


def busiest_hour(queues: Sequence[Queue]) -> Span | None:
    """The hour of the WINDOW in which most seconds of work came to these queues; None if too little ever did.

    Raises DatabaseError.
    """
    now = timezone.now()
    week = between(queues, now - WINDOW, now)
    if week is None or week.runs < LEAST:
        return None
    ((hour,),) = _rows(BUSIEST, now - WINDOW, queues=[queue.name for queue in queues])
    return hour_of(queues, hour)


def hour_of(queues: Sequence[Queue], since: datetime) -> Span | None:
    """The hour from `since` on, or what has passed of it; None if nothing came to these queues. Raises DatabaseError.

    What few runs do not tell of their variation is taken from the WINDOW, and that of the arrivals as Poisson's.
    """
    now = timezone.now()
    found = between(queues, since, min(now, since + HOUR))
    week = between(queues, now - WINDOW, now)
    if found is None or week is None or found.runs >= LEAST:
        return found
    load = replace(found.load, arrivals_vary=1.0, runs_vary=week.load.runs_vary)
    return replace(found, load=load, guessed=True)


def between(queues: Sequence[Queue], since: datetime, until: datetime) -> Span | None:
    """What came to these queues from `since` until before `until`; None if nothing. Raises DatabaseError."""
    row = _rows(BETWEEN, since, until=until, queues=[queue.name for queue in queues])[0]
    runs, run, run_variance, gap, gap_variance, mean_wait, wait_p95 = row
    if not runs:
        return None
    arrivals = runs / (until - since).total_seconds()
    load = Load(arrivals, run, _vary(gap_variance, gap), _vary(run_variance, run))
    return Span(since, runs, load, mean_wait, wait_p95)


def _vary(variance: float | None, mean: float | None) -> float:
    """The squared coefficient of variation; 1, as Poisson's, where there is none."""
    return variance / mean**2 if variance is not None and mean else 1.0


def _rows(query: str, since: datetime, **parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"since": since} | parameters)
        return list(cursor.fetchall())
