"""Samples of each queue (QueueSample), their rollup (QueueHour), and their retention."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from workers.brokers.state import read_queue_states_or_unknown
from workers.models import QueueHour, QueueSample
from workers.queues import table
from workers.telemetry.queue_flow import FLOWS, flow_parameters
from workers.telemetry.rollups import first_hour
from workers.telemetry.waits import jobs_without_message

MAX_PAUSE = timedelta(seconds=90)  # of the samples, while another beat starts
DELETE_ROWS = 10_000  # of one statement
HOUR = timedelta(hours=1)
FINISHED = """
    SELECT queue, sum(outcome.value::bigint)::bigint FROM workers_tasktotal, jsonb_each_text(outcomes) AS outcome
    WHERE task <> %s AND outcome.key NOT IN ('retried', 'refused') GROUP BY queue"""
ROLL_UP = f"""
    INSERT INTO workers_queuehour (queue, hour, waiting_p50, waiting_max, oldest_max, arrived, finished)
    SELECT level.queue, hour, waiting_p50, waiting_max, oldest_max, arrived, finished
    FROM (
        SELECT queue, date_trunc('hour', taken_at) AS hour, max(oldest_seconds) AS oldest_max,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY waiting) AS waiting_p50, max(waiting) AS waiting_max
        FROM workers_queuesample WHERE queue = ANY(%(queues)s) AND taken_at >= %(begins)s AND taken_at < %(ends)s
        GROUP BY queue, hour
    ) AS level LEFT JOIN ({FLOWS}) AS flow ON flow.queue = level.queue AND flow.step = hour
    ON CONFLICT (queue, hour) DO UPDATE SET (waiting_p50, waiting_max, oldest_max, arrived, finished)
        = ROW (excluded.waiting_p50, excluded.waiting_max, excluded.oldest_max, excluded.arrived, excluded.finished)"""  # noqa: S608 (of our own constants)


def store_samples(oldest_waits: Mapping[str, float]) -> None:
    """By the clock of the database. oldest_waits: seconds by queue. What the broker does not tell is null."""
    finished, in_rows = _count_finished(), jobs_without_message()
    QueueSample.objects.bulk_create(
        QueueSample(
            queue=name,
            taken_at=Now(),
            waiting=None if state["ready"] is None else state["ready"] + in_rows.get(name, 0),
            unacked=state["unacked"],
            consumers=state["consumers"],
            oldest_seconds=oldest_waits.get(name),
            finished=finished.get(name, 0),
        )
        for name, state in read_queue_states_or_unknown().items()
    )


def _count_finished() -> dict[str, int]:
    """Runs that ever ended, by queue, without canaries, jobs that were handed back, and messages that nobody needs."""
    with connection.cursor() as cursor:
        cursor.execute(FINISHED, [table().canary_task])
        return dict(cursor.fetchall())


def last_sample_at() -> datetime | None:
    queue = next(iter(table().queues))  # a sample has a row for each queue, and the index begins with the queue
    newest = QueueSample.objects.filter(queue=queue).order_by("-taken_at")
    return newest.values_list("taken_at", flat=True).first()


def was_sampled(ago: timedelta, within: timedelta = MAX_PAUSE) -> bool:
    """So long ago, and not longer before, by the clock of the database.

    After a restart, the samples of the beat before count.
    """
    moments, queue = (Now() - ago - within, Now() - ago), next(iter(table().queues))
    return QueueSample.objects.filter(queue=queue, taken_at__range=moments).exists()


def roll_up_samples() -> None:
    """Computes the last two days anew. After a time limit the next call goes on."""
    now, hours = timezone.now(), QueueHour.objects.filter(queue__in=table().queues).order_by("-hour")
    first = first_hour(hours.values_list("hour", flat=True).first())
    with connection.cursor() as cursor:
        while first <= now:
            end = first + timedelta(days=1)
            cursor.execute(ROLL_UP, flow_parameters(table().queues, first, end, HOUR))
            first = end


def delete_old_samples() -> int:
    """Deletes one chunk, so that no lock is held for long."""
    old = QueueSample.objects.filter(taken_at__lt=timezone.now() - timedelta(days=settings.KEEP_RUNS_DAYS))
    return QueueSample.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]


def delete_old_queue_hours() -> int:
    """Deletes one chunk."""
    old = QueueHour.objects.filter(hour__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS))
    return QueueHour.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]
