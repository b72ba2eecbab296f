"""Fair turns: which jobs of a queue may be published.

In a queue with `in_turns`, each owner has at most one waiting message. The owner's next job is published when a worker
takes that one, so it goes behind the messages of all others: round robin, on every broker. With `serialize_by`, it is
published when the job ends, so that an owner's jobs run one at a time, in their order.
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from workers.models import Job
from workers.queues import Queue


def due(queue: Queue, **chosen: Any) -> QuerySet[Job]:
    """The jobs that may be published now, oldest first: in a queue with turns, one of each owner.

    chosen: a filter, such as an owner. Jobs without an owner take no turns.
    """
    now = timezone.now()
    is_due = Q(not_before=None) | Q(not_before__lte=now)
    waiting = {"queue": queue.name, "state": Job.State.QUEUED, "dispatched_at": None} | chosen
    if not queue.in_turns:
        return Job.objects.filter(is_due, **waiting).order_by("queued_at")
    has_message = Q(state=Job.State.QUEUED, dispatched_at__isnull=False)
    in_flight = has_message | Q(state=Job.State.RUNNING) if queue.serialize_by else has_message
    busy = Job.objects.filter(in_flight, queue=queue.name, **chosen).exclude(owner=None).values("owner")
    # Of serialized jobs, one that is not due keeps its place before its owner's later ones.
    candidates = Job.objects.filter(*([] if queue.serialize_by else [is_due]), **waiting)
    first_of_owner = candidates.exclude(owner__in=busy).order_by("owner", "queued_at").distinct("owner")
    has_turn = Q(owner=None) | Q(pk__in=first_of_owner.values("pk"))
    return Job.objects.filter(is_due, has_turn, **waiting).order_by("queued_at")
