"""Publishes the jobs whose messages the click could not send, or the broker lost.

The most impatient queue first. A queue that is full or long, or whose broker node is away, holds up no other one: each
has its share of the time. A silent one uses up more, so the others come in random order.
"""

import logging
import random
import time
from datetime import datetime, timedelta

from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from workers.brokers.connection import count_ready
from workers.jobs import turns
from workers.jobs.dispatch import NOT_DISPATCHED, publish
from workers.models import Job
from workers.queues import Queue, table

log = logging.getLogger(__name__)

MAX_JOBS = 1000  # of one queue, in one call
MAX_SECONDS = 4  # of one call: a silent broker costs about a second for each queue
CLICK_SECONDS = 5  # for which a new job's own process may still be publishing it
LOST_SECONDS = 60
# Of two messages, the later one may be taken a little earlier: each process of a worker takes its own.
OVERTAKING_SECONDS = 30
TAKEN_SECONDS = 600  # that the search for an overtaking message looks back


def publish_due() -> int:
    """Returns how many jobs it published."""
    published, stop_at = 0, time.monotonic() + MAX_SECONDS
    first, *others = sorted(table().queues.values(), key=lambda queue: queue.target_seconds)
    random.shuffle(others)
    for remaining, queue in zip(range(len(others) + 1, 0, -1), [first, *others], strict=True):
        seconds = stop_at - time.monotonic()
        if seconds < 0:
            break
        published += _publish_queue(queue, seconds / remaining)
    return published


def _publish_queue(queue: Queue, seconds: float) -> int:
    published, stop_at = 0, time.monotonic() + seconds
    for job in unpublished_jobs(queue)[:MAX_JOBS]:
        if not publish(job):
            break  # the next call tries this queue again
        published += 1
        if time.monotonic() > stop_at:
            break
    return published


def unpublished_jobs(queue: Queue) -> QuerySet[Job]:
    """Due jobs that their own process is not about to publish. Oldest first."""
    moment = timezone.now() - timedelta(seconds=CLICK_SECONDS)
    has_started = Q(attempt__gt=0)  # and went back to its queue
    return turns.due(queue).filter(has_started | Q(not_before__isnull=False) | Q(queued_at__lt=moment))


def is_overdue(job: Job) -> bool:
    """Whether the broker does not take the job's message."""
    is_waiting = job.state == Job.State.QUEUED and job.dispatched_at is None and job.queue in table().queues
    return is_waiting and unpublished_jobs(table().queues[job.queue]).filter(pk=job.pk).exists()


def recall_lost_messages() -> None:
    """Marks jobs as not dispatched whose message the broker no longer has. Raises BrokerUnavailableError."""
    minute_ago = timezone.now() - timedelta(seconds=LOST_SECONDS)
    waiting = Job.objects.filter(state=Job.State.QUEUED, dispatched_at__lt=minute_ago)
    for queue in waiting.order_by().values_list("queue", flat=True).distinct():
        if count := _lost(waiting.filter(queue=queue), queue).update(**NOT_DISPATCHED):
            log.warning("lost_messages_recalled queue=%s count=%s", queue, count)


def _lost(waiting: QuerySet[Job], queue: str) -> QuerySet[Job]:
    """All, if their queue is empty. Else those behind which a worker took a message that was published later."""
    if count_ready(queue) == 0:
        return waiting
    lately = timezone.now() - timedelta(seconds=TAKEN_SECONDS)
    taken = Job.objects.filter(queue=queue, started_at__gt=lately, started_at__gte=F("dispatched_at"))
    last: datetime | None = taken.aggregate(last=Max("dispatched_at"))["last"]
    if last is None:
        return waiting.none()
    return waiting.filter(dispatched_at__lt=last - timedelta(seconds=OVERTAKING_SECONDS))
