"""How fast each queue fills and empties, by its samples: the one computation for cards, pages, charts and hours.

Finished are the runs that ended (TaskTotal, without canaries and hand-backs). Arrived are those, and the growth of the
queue.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from workers.brokers import QueueState
from workers.queues import Queue, table

WINDOW = timedelta(minutes=15)
GAP = timedelta(minutes=10)  # the flow of a step begins with the last sample before it, if that is not older
# Sums forgive that a run is collected seconds after its message was acknowledged. A sample without a figure, while the
# broker was away, is skipped.
FLOWS = """
    SELECT queue, date_bin(%(step)s, taken_at, %(begins)s) AS step, greatest(0, sum(finished + growth)) AS arrived,
        sum(finished) AS finished, sum(growth) AS growth, sum(seconds) AS seconds,
        (array_agg(messages ORDER BY taken_at DESC))[1] AS messages
    FROM (
        SELECT queue, taken_at, messages, greatest(0, finished - lag(finished) OVER by_time) AS finished,
            messages - lag(messages) OVER by_time AS growth,
            extract(epoch FROM taken_at - lag(taken_at) OVER by_time) AS seconds
        FROM (
            SELECT queue, taken_at, finished, waiting + coalesce(unacked, 0) AS messages FROM workers_queuesample
            WHERE queue = ANY(%(queues)s) AND taken_at >= %(begins)s - %(gap)s AND taken_at < %(ends)s
                AND finished IS NOT NULL AND waiting IS NOT NULL
        ) AS sample WINDOW by_time AS (PARTITION BY queue ORDER BY taken_at)
    ) AS change WHERE taken_at >= %(begins)s AND seconds IS NOT NULL GROUP BY 1, 2"""


@dataclass(frozen=True)
class QueueFlow:
    """Messages a minute. seconds_to_empty: None unless the queue shrinks."""

    arriving: float
    finishing: float
    seconds_to_empty: float | None


@dataclass(frozen=True)
class QueueRow:
    """in_rows: jobs without a message. oldest_seconds: None if nothing waits. flow: None if unknown."""

    queue: Queue
    state: QueueState
    in_rows: int
    oldest_seconds: float | None
    flow: QueueFlow | None

    @property
    def waiting(self) -> int | None:
        """Messages and jobs without one; None if the broker does not answer."""
        return None if self.state["ready"] is None else self.state["ready"] + self.in_rows

    @property
    def is_late(self) -> bool:
        return (self.oldest_seconds or 0) > self.queue.target_seconds


def queue_rows(
    states: Mapping[str, QueueState],
    in_rows: Mapping[str, int],
    oldest_waits: Mapping[str, float],
    flows: Mapping[str, QueueFlow],
) -> list[QueueRow]:
    """All by queue. oldest_waits: seconds."""
    return [
        QueueRow(queue, states[name], in_rows.get(name, 0), oldest_waits.get(name), flows.get(name))
        for name, queue in table().queues.items()
    ]


def current_flows() -> dict[str, QueueFlow]:
    """Of the WINDOW until now, by queue, without those that have no two samples. Raises DatabaseError."""
    begins = timezone.now() - WINDOW
    return {queue: flow for (queue, _), flow in read_flows(list(table().queues), begins, WINDOW).items()}


def read_flows(queues: Collection[str], begins: datetime, step: timedelta) -> dict[tuple[str, datetime], QueueFlow]:
    """By queue and beginning of the step, until now. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(FLOWS, flow_parameters(queues, begins, timezone.now(), step))
        return {(queue, at): _flow(*sums) for queue, at, *sums in cursor.fetchall()}


def flow_parameters(queues: Collection[str], begins: datetime, ends: datetime, step: timedelta) -> dict[str, Any]:
    return {"queues": list(queues), "begins": begins, "ends": ends, "step": step, "gap": GAP}


def _flow(arrived: float, finished: float, growth: int, seconds: float, messages: int) -> QueueFlow:
    minutes = max(float(seconds), 1) / 60
    to_empty = messages / -float(growth) * minutes * 60 if growth < 0 else None
    return QueueFlow(float(arrived) / minutes, float(finished) / minutes, to_empty)
