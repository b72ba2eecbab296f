"""Samples of each queue (QueueSample), and their retention."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from workers.brokers.state import read_queue_states_or_unknown
from workers.models import QueueSample
from workers.queues import table

DELETE_ROWS = 10_000  # of one statement


def store_samples(oldest_waits: Mapping[str, float]) -> None:
    """oldest_waits: seconds by queue. What the broker does not tell is null."""
    now = timezone.now()
    QueueSample.objects.bulk_create(
        QueueSample(
            queue=name,
            taken_at=now,
            waiting=state["ready"],
            unacked=state["unacked"],
            consumers=state["consumers"],
            oldest_seconds=oldest_waits.get(name),
        )
        for name, state in read_queue_states_or_unknown().items()
    )


def last_sample_at() -> datetime | None:
    queue = next(iter(table().queues))  # a sample has a row for each queue, and the index begins with the queue
    newest = QueueSample.objects.filter(queue=queue).order_by("-taken_at")
    return newest.values_list("taken_at", flat=True).first()


def delete_old_samples() -> int:
    """Deletes one chunk, so that no lock is held for long."""
    old = QueueSample.objects.filter(taken_at__lt=timezone.now() - timedelta(days=settings.KEEP_RUNS_DAYS))
    return QueueSample.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]
