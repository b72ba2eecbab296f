"""Retries or cancels many jobs: the work of a job of the staff, which has its jobs in SelectedJob.

A chunk's jobs, the deletion of its selection and the checkpoint are one transaction. So each job is changed once, and
a killed worker's successor goes on behind the last chunk. A job that was started anew since the selection is left as it
is. Nothing is published here: the sweep does so, in the turns of the owners and within the limits of the queues.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, OuterRef, QuerySet, Subquery, Value
from django.utils import timezone

from workers.jobs import user_messages
from workers.jobs.attempt import Attempt, RetryLater
from workers.jobs.dispatch import NOT_DISPATCHED
from workers.jobs.lifecycle import NEEDS_MAPPING, NOT_ENDED, QUEUED, RETRYABLE, RUNNING
from workers.models import Job, SelectedJob

CHUNK = 500
MAX_SECONDS = 30  # of one run: an import may wait for it
PAUSE_SECONDS = 1  # while others hold the rows of a whole chunk
MICROSECOND = Value(timedelta(microseconds=1), output_field=DurationField())


def change_selected(attempt: Attempt) -> None:
    """arguments of the job: `change` (retry or cancel), `count` of the selection, and `selected_at`, an ISO date.

    Raises RetryLater when its time is over.
    """
    change, count = CHANGES[attempt.arguments["change"]], attempt.arguments["count"]
    selected_at = datetime.fromisoformat(attempt.arguments["selected_at"])
    stop_at = time.monotonic() + MAX_SECONDS
    while (taken := _change_chunk(attempt, change, selected_at)) is not None:
        attempt.report(attempt.checkpoint.get("taken", 0), count, STAGES[attempt.arguments["change"]])
        if not taken:
            raise RetryLater(PAUSE_SECONDS, user_messages.WAITING_FOR_ROWS)
        if time.monotonic() > stop_at:
            raise RetryLater(0, user_messages.GOES_ON)


def _change_chunk(
    attempt: Attempt, change: Callable[[QuerySet[SelectedJob], list[UUID], datetime], int], selected_at: datetime
) -> int | None:
    """How many selected jobs it has dealt with. None if none is left."""
    selection = SelectedJob.objects.filter(action=attempt.id).order_by("pk")
    with transaction.atomic():
        chunk = list(selection.values_list("job", flat=True)[:CHUNK])
        if not chunk:
            return None
        # What somebody else writes at this moment comes with a later chunk: waiting for it could be a deadlock.
        unlocked = Job.objects.select_for_update(skip_locked=True).filter(pk__in=chunk)
        ids = list(unlocked.values_list("pk", flat=True))
        changed = change(selection, ids, selected_at)
        selection.filter(job__in=ids).delete()
        taken = attempt.checkpoint.get("taken", 0) + len(ids)
        attempt.save(attempt.checkpoint | {"taken": taken}, {"changed": attempt.result.get("changed", 0) + changed})
    return len(ids)


def _retry(selection: QuerySet[SelectedJob], ids: list[UUID], selected_at: datetime) -> int:
    """They go to the end of their queues, in the order of the selection."""
    ended = Job.objects.filter(pk__in=ids, state__in=RETRYABLE, queued_at__lt=selected_at)
    first = selection.values_list("pk", flat=True).first()
    place = Subquery(selection.filter(job=OuterRef("pk")).values("pk")[:1]) - Value(first)
    offset = ExpressionWrapper(place * MICROSECOND, output_field=DurationField())
    queued_at = ExpressionWrapper(
        Value(timezone.now(), output_field=DateTimeField()) + offset, output_field=DateTimeField()
    )
    return ended.update(state=QUEUED, queued_at=queued_at, **NOT_ENDED, **NOT_DISPATCHED)


def _cancel(selection: QuerySet[SelectedJob], ids: list[UUID], selected_at: datetime) -> int:
    same, now = Job.objects.filter(pk__in=ids, queued_at__lt=selected_at), timezone.now()
    asked = same.filter(state=RUNNING).update(cancel_requested_at=now)
    ended = {"message": user_messages.CANCELLED_BEFORE_START, "finished_at": now}
    return asked + same.filter(state__in=(NEEDS_MAPPING, QUEUED)).update(state=Job.State.CANCELLED, **ended)


CHANGES = {"retry": _retry, "cancel": _cancel}
STAGES = {"retry": "putting jobs into their queues", "cancel": "cancelling jobs"}
