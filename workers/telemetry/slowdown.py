"""Which tasks are slower in the last hour than in their own last week, and not by chance.

The usual p95 is the median of the week's hourly p95s. A task is slower if its p95 is well above that, and more runs
exceed it than chance explains once in 10,000 hours (Chernoff's bound). A task needs 24 hours of history.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from workers.models import TaskRun
from workers.telemetry.outcomes import FINISHED

MIN_EVIDENCE = math.log(10_000)  # hours in which a steady task gives one false alarm at most
MIN_RATIO = 1.5  # of the p95 to the usual one
MIN_DIFFERENCE_SECONDS = 0.1  # nobody notices less
COMPARISON = f"""
    WITH usual AS (
        SELECT task, percentile_cont(0.5) WITHIN GROUP (ORDER BY run_p95) AS p95,
            avg((0.05 * runs + 0.95) / (runs + 1))::float AS share
        FROM workers_taskhour
        WHERE hour BETWEEN now() - interval '7 days' AND now() - interval '2 hours' AND runs > 0
            AND (%(task)s::text IS NULL OR task = %(task)s)
        GROUP BY task HAVING count(*) >= 24
    )
    SELECT task, count(*), count(*) FILTER (WHERE run_seconds > usual.p95),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY run_seconds), usual.p95, usual.share
    FROM workers_taskrun JOIN usual USING (task)
    WHERE ended_at > now() - interval '1 hour' AND outcome IN {FINISHED}
        AND (%(task)s::text IS NULL OR task = %(task)s)
    GROUP BY task, usual.p95, usual.share ORDER BY task"""  # noqa: S608 (of our own constants)


@dataclass(frozen=True)
class TaskSpeed:
    task: str
    p95_seconds: float
    usual_p95_seconds: float
    is_slower: bool

    @property
    def change(self) -> str:
        """In words: "20 % more"."""
        percent = round(100 * (self.p95_seconds - self.usual_p95_seconds) / max(self.usual_p95_seconds, 1e-9))
        return "the same" if not percent else f"{abs(percent):,} % {'more' if percent > 0 else 'less'}"

    @property
    def ratio(self) -> float:
        """Of the p95 to the usual one. A usual one that nobody notices counts as MIN_DIFFERENCE_SECONDS."""
        return self.p95_seconds / max(self.usual_p95_seconds, MIN_DIFFERENCE_SECONDS)


def compare_with_last_week(task: str | None = None) -> list[TaskSpeed]:
    """Of one task, or of all. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(COMPARISON, {"task": task})
        return [
            TaskSpeed(task, p95, usual, is_slower(p95, usual, runs=runs, above=above, share=share))
            for task, runs, above, p95, usual, share in cursor.fetchall()
        ]


def is_slower(p95: float, usual: float, *, runs: int, above: int, share: float) -> bool:
    """p95, usual: seconds. `above` of the `runs` took longer than usual, where a `share` of them is expected to."""
    seen = above / runs
    if p95 < max(MIN_RATIO * usual, usual + MIN_DIFFERENCE_SECONDS) or seen <= share:
        return False
    evidence = seen * math.log(seen / share) + ((1 - seen) * math.log((1 - seen) / (1 - share)) if seen < 1 else 0)
    return runs * evidence > MIN_EVIDENCE


def last_run_at() -> datetime | None:
    return TaskRun.objects.order_by("-ended_at").values_list("ended_at", flat=True).first()


def count_runs_of_last_hour() -> int:
    return TaskRun.objects.filter(ended_at__gt=timezone.now() - timedelta(hours=1)).count()
