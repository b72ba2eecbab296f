"""Counts all runs by task and queue since the first one (TaskTotal), for /metrics.

Who publishes a message chooses its names. So a task or a queue that is not in the table counts as OTHER: the number of
rows, and of a monitor's time series, has a bound.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workers.models import TaskTotal
from workers.queues import table
from workers.telemetry.outcomes import FINISHED

Record = Mapping[str, Any]

OTHER = "other"
# Upper bounds in seconds: from a mail's task of some milliseconds to a film that takes hours. A queue's target is one
# more bound (bucket_bounds), so that the share of runs that waited at most the target is exact.
BUCKETS = (
    *(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0),
)
COUNTED = ("outcomes", "run_buckets", "run_seconds", "wait_buckets", "wait_seconds")


def bucket_bounds() -> tuple[float, ...]:
    """Ends with infinity."""
    targets = (float(queue.target_seconds) for queue in table().queues.values())
    return (*sorted({*BUCKETS, *targets}), math.inf)


def add_to_totals(runs: Iterable[Record]) -> None:
    """runs: each of them once. In the caller's transaction, which locks the rows until its end."""
    grouped = _group(runs)
    totals = _lock(grouped)
    if missing := grouped.keys() - totals.keys():
        rows = (TaskTotal(task=task, queue=queue) for task, queue in missing)
        TaskTotal.objects.bulk_create(rows, ignore_conflicts=True)
        totals = _lock(grouped)
    bounds = bucket_bounds()
    grown = [_grow(totals[pair], new, bounds) for pair, new in grouped.items()]
    # bulk_update() writes a CASE for each column, and takes three times as long.
    TaskTotal.objects.bulk_create(grown, update_conflicts=True, unique_fields=["id"], update_fields=COUNTED)


def _lock(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], TaskTotal]:
    """The rows that there are, in one order for all who lock."""
    tasks, queues = {task for task, _ in pairs}, {queue for _, queue in pairs}
    rows = TaskTotal.objects.select_for_update().filter(task__in=tasks, queue__in=queues).order_by("task", "queue")
    return {(row.task, row.queue): row for row in rows}


def _group(runs: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """Runs by task and queue. First by any names, because each lookup counts: there may be 100,000 runs."""
    named: dict[tuple[str, str], list[Record]] = defaultdict(list)
    grouped: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for run in runs:
        named[run["task"], run["queue"]].append(run)
    for (task, queue), group in named.items():
        grouped[task if task in table().routes else OTHER, queue if queue in table().queues else OTHER] += group
    return grouped


def _grow(total: TaskTotal, runs: list[Record], bounds: Sequence[float]) -> TaskTotal:
    _add(total.outcomes, Counter([run["outcome"] for run in runs]))
    finished = [run for run in runs if run["outcome"] in FINISHED]
    total.run_seconds += _add_to_buckets(total.run_buckets, [run.get("run_seconds") for run in finished], bounds)
    total.wait_seconds += _add_to_buckets(total.wait_buckets, [run.get("wait_seconds") for run in finished], bounds)
    return total


def _add_to_buckets(buckets: dict[str, int], values: list[float | None], bounds: Sequence[float]) -> float:
    """Returns the sum of the values."""
    seconds = sorted([value for value in values if value is not None])
    before = 0
    for bound in bounds:
        upto = bisect_right(seconds, bound, lo=before)
        if upto > before:
            _add(buckets, {str(bound): upto - before})
        before = upto
    return sum(seconds)


def _add(stored: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        stored[name] = stored.get(name, 0) + count


def cumulate(buckets: Mapping[str, int]) -> list[int]:
    """For each of bucket_bounds(), how many seconds were at most so long.

    A bound that was a target once counts in the next one.
    """
    counts = sorted((float(bound), count) for bound, count in buckets.items())
    return [sum(count for upper, count in counts if upper <= bound) for bound in bucket_bounds()]
