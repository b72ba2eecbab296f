"""How fast each queue fills and empties.

Ended jobs count as finished messages. A queue that beat feeds has no jobs: there, recorded runs count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count
from django.utils import timezone

from workers.brokers import QueueState
from workers.brokers.state import read_queue_states_or_unknown
from workers.models import Job, QueueSample, TaskRun
from workers.queues import Queue, table
from workers.schedule import scheduled_queues

WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class QueueFlow:
    """Messages a minute. seconds_to_empty: None unless the queue shrinks."""

    arriving: float
    finishing: float
    seconds_to_empty: float | None


@dataclass(frozen=True)
class QueueRow:
    """oldest_seconds: None if nothing waits. flow: None if unknown."""

    queue: Queue
    state: QueueState
    oldest_seconds: float | None
    flow: QueueFlow | None

    @property
    def is_late(self) -> bool:
        return (self.oldest_seconds or 0) > self.queue.target_seconds


def queue_rows(oldest_waits: Mapping[str, float]) -> list[QueueRow]:
    """oldest_waits: seconds by queue."""
    states = read_queue_states_or_unknown()
    flows = measure_flows(states)
    return [
        QueueRow(queue, states[name], oldest_waits.get(name), flows.get(name)) for name, queue in table().queues.items()
    ]


def measure_flows(states: Mapping[str, QueueState]) -> dict[str, QueueFlow]:
    """Leaves out queues that have no sample in the WINDOW or whose state is unknown."""
    now = timezone.now()
    samples = QueueSample.objects.filter(taken_at__gte=now - WINDOW, waiting__isnull=False)
    oldest = {sample.queue: sample for sample in samples.order_by("queue", "taken_at").distinct("queue")}
    ended = _count_ended(since=min((sample.taken_at for sample in oldest.values()), default=now))
    flows = {}
    for queue, sample in oldest.items():
        state = states[queue]
        if state["ready"] is None:
            continue
        minutes = max((now - sample.taken_at).total_seconds(), 1) / 60
        messages = state["ready"] + (state["unacked"] or 0)
        growth = (messages - (sample.waiting or 0) - (sample.unacked or 0)) / minutes
        finishing = ended.get(queue, 0) / minutes
        to_empty = messages / -growth * 60 if growth < 0 else None
        flows[queue] = QueueFlow(max(0.0, finishing + growth), finishing, to_empty)
    return flows


def _count_ended(since: datetime) -> dict[str, int]:
    jobs = Job.objects.filter(finished_at__gte=since)
    runs = TaskRun.objects.filter(ended_at__gte=since, queue__in=scheduled_queues())
    return {queue: count for ended in (jobs, runs) for queue, count in ended.values_list("queue").annotate(Count("pk"))}
