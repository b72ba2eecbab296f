"""The timeline of a job for the staff: from the click to the end, with what the staff did to it.

The row knows its newest place in the queue, message and request to cancel. The attempts and the action log know of
earlier ones. What many jobs' retry or its owner did before is not kept: the next attempt says that it came so.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from mediaapp.models import ActionEntry
from workers.models import Job, JobAttempt

# A cause that is stamped so much later than its effect came before it: a worker may be quicker than the publisher.
STAMP_DELAY = timedelta(seconds=1)
MAX_ENTRIES = 50
PHRASES = {"retry_job": "Tried again by", "cancel_job": "Cancelled by"}
ENDED = (JobAttempt.Outcome.DONE, JobAttempt.Outcome.FAILED, JobAttempt.Outcome.CANCELLED)


class Event(NamedTuple):
    moment: datetime
    words: str
    detail: str = ""


def timeline_of(job: Job, attempts: list[JobAttempt]) -> list[Event]:
    """attempts: by their number. Of two events at one moment, the cause is first."""
    entries = list(ActionEntry.objects.filter(target=str(job.pk), action__in=PHRASES).order_by("-pk")[:MAX_ENTRIES])
    events = [
        *_queueings(job, entries),
        *_publication(job, attempts),
        *_runs(job, attempts, entries),
        *_end(job, attempts, entries),
    ]
    return sorted(events, key=lambda event: event.moment)


def _before(moment: datetime, effect: datetime | None) -> datetime:
    return effect if effect and effect < moment < effect + STAMP_DELAY else moment


def _queueings(job: Job, entries: list[ActionEntry]) -> Iterator[Event]:
    clicked = min(job.created_at, job.queued_at)  # the row is written a moment after its place in the queue is taken
    request = f"request {job.request_id}" if job.request_id else "no request: by the site itself, or an older release"
    yield Event(clicked, "Clicked", request)
    is_retried = job.queued_at - job.created_at > STAMP_DELAY
    if is_retried and "dialect" not in job.arguments:  # an import waits for its mapping first
        yield Event(clicked, f"Queued in {job.queue}")
    for entry in entries:
        request = f"request {entry.request_id}" if entry.request_id else ""
        effect = job.queued_at if entry.action == "retry_job" else job.finished_at
        yield Event(_before(entry.at, effect), f"{PHRASES[entry.action]} {entry.actor}", request)
    yield Event(job.queued_at, f"Queued in {job.queue}")


def _publication(job: Job, attempts: list[JobAttempt]) -> Iterator[Event]:
    """Of several messages, the row knows the newest."""
    if job.dispatched_at is None:
        return
    runs = [run for run in attempts if run.outcome in ("", *ENDED) and run.started_at >= job.queued_at]
    started_at = runs[-1].started_at if runs else None
    yield Event(_before(job.dispatched_at, started_at), "Published", f"message {job.dispatch_number + 1}")


def _runs(job: Job, attempts: list[JobAttempt], entries: list[ActionEntry]) -> Iterator[Event]:
    known, previous = [job.queued_at, *(entry.at for entry in entries if entry.action == "retry_job")], None
    for attempt in attempts:
        request = f"request {attempt.request_id}" if attempt.request_id != job.request_id else ""
        retried = ""
        if previous and previous.outcome in ENDED:
            is_known = any(previous.started_at < moment <= attempt.started_at for moment in known)
            retried = "" if is_known else "tried again by its owner, or with other jobs"
        detail = " · ".join(filter(None, (attempt.worker, attempt.release, request, retried)))
        yield Event(attempt.started_at, f"Attempt {attempt.number} started", detail)
        if attempt.ended_at:
            said = attempt.error or attempt.message
            yield Event(attempt.ended_at, f"Attempt {attempt.number} {attempt.outcome}", said)
        previous = attempt


def _end(job: Job, attempts: list[JobAttempt], entries: list[ActionEntry]) -> Iterator[Event]:
    asked_at = job.cancel_requested_at
    cancels = [entry.at for entry in entries if entry.action == "cancel_job"]
    if asked_at and not any(asked_at <= at < asked_at + STAMP_DELAY for at in cancels):
        yield Event(asked_at, "Asked to cancel")
    # An attempt before its newest place in the queue said it of an earlier end.
    is_said = any(run.outcome == job.state and run.started_at >= job.queued_at for run in attempts[-1:])
    if job.finished_at and not is_said:
        yield Event(job.finished_at, f"Ended: {job.state}", job.error)
