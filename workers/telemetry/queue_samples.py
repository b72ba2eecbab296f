"""Samples of each queue (QueueSample), their rollup (QueueHour), and their retention."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from workers.brokers.state import read_queue_states_or_unknown
from workers.models import QueueHour, QueueSample
from workers.queues import table

DELETE_ROWS = 10_000  # of one statement
GAP = timedelta(minutes=10)  # an hour's flow begins with the last sample before it, if that is not older
FINISHED = """
    SELECT queue, sum(outcome.value::bigint)::bigint FROM workers_tasktotal, jsonb_each_text(outcomes) AS outcome
    WHERE task <> %s GROUP BY queue"""
# What arrived: what ended, and by how much more is there. An hour's sums forgive that a run is collected seconds after
# its message was acknowledged. A sample without a figure, while the broker was away, is skipped.
ROLL_UP = """
    INSERT INTO workers_queuehour (queue, hour, waiting_p50, waiting_max, oldest_max, arrived, finished)
    SELECT queue, hour, waiting_p50, waiting_max, oldest_max,
        CASE WHEN finished + growth < 0 THEN 0 ELSE finished + growth END, finished
    FROM (
        SELECT queue, date_trunc('hour', taken_at) AS hour, max(oldest_seconds) AS oldest_max,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY waiting) AS waiting_p50, max(waiting) AS waiting_max
        FROM workers_queuesample WHERE queue = ANY(%(queues)s) AND taken_at >= %(first)s AND taken_at < %(end)s
        GROUP BY queue, hour
    ) AS level LEFT JOIN (
        SELECT queue, date_trunc('hour', taken_at) AS hour, sum(finished) AS finished, sum(growth) AS growth
        FROM (
            SELECT queue, taken_at, finished - lag(finished) OVER by_time AS finished,
                waiting + coalesce(unacked, 0) - lag(waiting + coalesce(unacked, 0)) OVER by_time AS growth
            FROM workers_queuesample
            WHERE queue = ANY(%(queues)s) AND taken_at >= %(before)s AND taken_at < %(end)s
                AND finished IS NOT NULL AND waiting IS NOT NULL
            WINDOW by_time AS (PARTITION BY queue ORDER BY taken_at)
        ) AS step WHERE taken_at >= %(first)s GROUP BY queue, hour
    ) AS flow USING (queue, hour)
    ON CONFLICT (queue, hour) DO UPDATE SET (waiting_p50, waiting_max, oldest_max, arrived, finished)
        = ROW (excluded.waiting_p50, excluded.waiting_max, excluded.oldest_max, excluded.arrived, excluded.finished)"""


def store_samples(oldest_waits: Mapping[str, float]) -> None:
    """oldest_waits: seconds by queue. What the broker does not tell is null."""
    now, finished = timezone.now(), _count_finished()
    QueueSample.objects.bulk_create(
        QueueSample(
            queue=name,
            taken_at=now,
            waiting=state["ready"],
            unacked=state["unacked"],
            consumers=state["consumers"],
            oldest_seconds=oldest_waits.get(name),
            finished=finished.get(name, 0) if finished else None,
        )
        for name, state in read_queue_states_or_unknown().items()
    )


def _count_finished() -> dict[str, int]:
    """Runs that ever ended, by queue, without canaries; empty before the first one."""
    with connection.cursor() as cursor:
        cursor.execute(FINISHED, [table().canary_task])
        return dict(cursor.fetchall())


def last_sample_at() -> datetime | None:
    queue = next(iter(table().queues))  # a sample has a row for each queue, and the index begins with the queue
    newest = QueueSample.objects.filter(queue=queue).order_by("-taken_at")
    return newest.values_list("taken_at", flat=True).first()


def roll_up_samples() -> None:
    """Computes the last two days anew. After a time limit the next call goes on."""
    now = timezone.now()
    newest = QueueHour.objects.filter(queue__in=table().queues).order_by("-hour").values_list("hour", flat=True).first()
    first = min(newest or now - timedelta(days=settings.KEEP_RUNS_DAYS), now - timedelta(days=2))
    first = first.replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        while first <= now:
            end = first + timedelta(days=1)
            cursor.execute(ROLL_UP, {"queues": list(table().queues), "before": first - GAP, "first": first, "end": end})
            first = end


def delete_old_samples() -> int:
    """Deletes one chunk, so that no lock is held for long."""
    old = QueueSample.objects.filter(taken_at__lt=timezone.now() - timedelta(days=settings.KEEP_RUNS_DAYS))
    return QueueSample.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]


def delete_old_queue_hours() -> int:
    """Deletes one chunk."""
    old = QueueHour.objects.filter(hour__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS))
    return QueueHour.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]
