"""Metrics of runs, jobs, queues and practices, each by an index or from a table of some rows."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from django.db import connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from workers.alarms.states import oldest_time, read_states
from workers.models import Job, TaskRun, TaskTotal
from workers.practices import backlog, registry
from workers.queues import table
from workers.schedule import scheduled_tasks
from workers.telemetry import pauses
from workers.telemetry.task_totals import OTHER, bucket_bounds, cumulate
from workers.telemetry.waits import jobs_without_message

SKIPPED = {TaskRun.Outcome.EXPIRED: "expired", TaskRun.Outcome.REFUSED: "locked"}
# By an index for each state: a count of all jobs would read the whole table.
COUNT_JOBS = """
    SELECT state, count(*) FROM workers_job WHERE state = 'needs_mapping' GROUP BY state
    UNION ALL SELECT state, count(*) FROM workers_job WHERE state = 'queued' GROUP BY state
    UNION ALL SELECT state, count(*) FROM workers_job WHERE state = 'running' GROUP BY state
    UNION ALL SELECT state, count(*) FROM workers_job
    WHERE finished_at > now() - interval '1 day' AND state IN ('done', 'failed', 'cancelled') GROUP BY state"""
LE = [*(str(bound) for bound in bucket_bounds()[:-1]), "+Inf"]


def measure_database() -> Iterator[Metric]:
    """Raises DatabaseError."""
    totals = _read_totals()
    yield from _measure_outcomes(totals)
    yield _measure_run_times(totals)
    yield from _measure_waits(totals)
    yield from _measure_queues()
    yield from _measure_jobs()
    yield from _measure_practices()


def _read_totals() -> list[TaskTotal]:
    """Without the rows of tasks and queues that the table had once."""
    tasks, queues = {*table().routes, OTHER}, {*table().queues, OTHER}
    return list(TaskTotal.objects.filter(task__in=tasks, queue__in=queues).order_by("task", "queue"))


def _measure_outcomes(totals: list[TaskTotal]) -> Iterator[Metric]:
    """An outcome is there before its first run: else Prometheus would miss that run's increase."""
    labels = ["task", "queue", "outcome"]
    runs = CounterMetricFamily("mediaapp_task_runs", "Runs that ended, by outcome.", labels=labels)
    skipped = CounterMetricFamily(
        "mediaapp_task_runs_skipped",
        "Runs of a recurring task that did not happen: the message had expired, or another run held the lock.",
        labels=["task", "reason"],
    )
    counts: Counter[tuple[str, str]] = Counter()
    for total in totals:
        for outcome in TaskRun.Outcome:
            count = total.outcomes.get(outcome, 0)
            runs.add_metric([total.task, total.queue, outcome.value], count)
            counts[total.task, outcome] += count
    for task in sorted(scheduled_tasks() & table().routes.keys()):
        for outcome, reason in SKIPPED.items():
            skipped.add_metric([task, reason], counts[task, outcome])
    yield from (runs, skipped)


def _measure_run_times(totals: list[TaskTotal]) -> Metric:
    times = HistogramMetricFamily(
        "mediaapp_task_run_seconds", "Of a run that succeeded or failed, from its start to its end.", labels=["task"]
    )
    buckets = defaultdict[str, Counter[str]](Counter)
    sums = defaultdict[str, float](float)
    for total in totals:
        buckets[total.task].update(total.run_buckets)
        sums[total.task] += total.run_seconds
    for task, counts in buckets.items():
        times.add_metric([task], list(zip(LE, cumulate(counts), strict=True)), sums[task])
    return times


def _measure_waits(totals: list[TaskTotal]) -> Iterator[Metric]:
    """By queue: all its tasks wait in one line. The target has a counter of its own, so that one burn-rate rule holds
    for every queue. Nobody waits for a canary: its quick answers would hide a late queue.
    """
    waits = HistogramMetricFamily(
        "mediaapp_task_wait_seconds",
        "Of a run that succeeded or failed, before its start: of a job since it was queued, without earlier attempts,"
        " else of its message. Canaries do not count.",
        labels=["queue"],
    )
    in_time = CounterMetricFamily(
        "mediaapp_task_waits_within_target",
        "Of these, the runs that waited at most the target of their queue.",
        labels=["queue"],
    )
    buckets = defaultdict[str, Counter[str]](Counter)
    sums = defaultdict[str, float](float)
    for total in (total for total in totals if total.task != table().canary_task):
        buckets[total.queue].update(total.wait_buckets)
        sums[total.queue] += total.wait_seconds
    for name, queue in table().queues.items():
        counts = cumulate(buckets[name])
        waits.add_metric([name], list(zip(LE, counts, strict=True)), sums[name])
        in_time.add_metric([name], counts[bucket_bounds().index(queue.target_seconds)])
    yield from (waits, in_time)


def _measure_queues() -> Iterator[Metric]:
    oldest = GaugeMetricFamily(
        "mediaapp_queue_oldest_seconds", "Age of the oldest message that waits; 0 if none waits.", labels=["queue"]
    )
    target = GaugeMetricFamily(
        "mediaapp_queue_target_seconds", "The wait that its users accept, of config/queues.py.", labels=["queue"]
    )
    in_rows = GaugeMetricFamily(
        "mediaapp_queue_jobs_without_message",
        "Jobs that wait in their rows: for their turn, for room or for the broker.",
        labels=["queue"],
    )
    paused = GaugeMetricFamily("mediaapp_queue_paused", "1 while staff have paused the queue.", labels=["queue"])
    waits, counts = backlog.oldest_waits(), jobs_without_message()
    paused_names = pauses.paused_queues()
    for name, queue in table().queues.items():
        oldest.add_metric([name], waits.get(name, 0.0))
        target.add_metric([name], queue.target_seconds)
        in_rows.add_metric([name], counts.get(name, 0))
        paused.add_metric([name], name in paused_names)
    yield from (oldest, target, in_rows, paused)


def _measure_jobs() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("mediaapp_jobs", "Jobs that have not ended.", labels=["state"])
    ended = GaugeMetricFamily("mediaapp_jobs_ended_last_day", "Jobs that ended in the last 24 hours.", labels=["state"])
    with connection.cursor() as cursor:
        cursor.execute(COUNT_JOBS)
        counts = dict(cursor.fetchall())
    for state in Job.State:
        (ended if state in Job.FINAL else jobs).add_metric([state.value], counts.get(state, 0))
    yield from (jobs, ended)


def _measure_practices() -> Iterator[Metric]:
    holds = GaugeMetricFamily(
        "mediaapp_practice_holds",
        "1: the practice holds, 0: it does not, NaN: it could not be measured.",
        labels=["practice"],
    )
    measured = GaugeMetricFamily(
        "mediaapp_monitor_round_timestamp_seconds", "When the monitor last measured all practices."
    )
    states = read_states()
    for practice in registry.PRACTICES:
        if state := states.get(practice.number):
            holds.add_metric([practice.slug], math.nan if state.ok is None else state.ok)
    if measured_at := oldest_time(states):
        measured.add_metric([], measured_at.timestamp())
    yield from (holds, measured)
