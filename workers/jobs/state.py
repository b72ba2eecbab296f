"""What a poll of a job answers."""

from collections.abc import Sequence
from typing import Any

from workers.jobs import line, outbox, user_messages
from workers.models import Job
from workers.practices import progress


def state_of(job: Job) -> dict[str, Any]:
    """The JSON of `/jobs/<uuid>/progress.json`."""
    state = states_of([job])[0]
    if job.state == Job.State.QUEUED:
        place = None if state["is_paused"] else state["queue_position"]
        state["starts_in_seconds"] = line.seconds_until_start(job, place) if place else None
        if not state["message"] and outbox.is_overdue(job):
            state["message"] = user_messages.NOT_PUBLISHED
    return state


def states_of(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """In the order of the jobs. All of them cost one command to the cache and one query, or none."""
    reports = progress.read_many(job.pk for job in jobs if job.state == Job.State.RUNNING)
    places = line.places([job for job in jobs if job.state == Job.State.QUEUED])
    return [
        running_state(reports[job.pk]) if job.pk in reports else _row_state(job, places.get(job.pk)) for job in jobs
    ]


def _row_state(job: Job, place: line.Place | None) -> dict[str, Any]:
    done = int(job.state == Job.State.DONE)
    return {
        "state": job.state,
        "done": done,
        "total": done,
        "stage": user_messages.STARTING if job.is_active else "",
        "message": user_messages.PAUSED if place and place.is_paused else job.message,
        "eta_seconds": None,
        "queue_position": place.number if place else None,
        "is_paused": bool(place and place.is_paused),
        "starts_in_seconds": None,
        "result": job.result,
    }


def running_state(report: dict[str, Any]) -> dict[str, Any]:
    """The answer of state_of(), from a report and without SQL."""
    unset: dict[str, Any] = {"state": Job.State.RUNNING.value, "message": "", "queue_position": None}
    unset |= {"starts_in_seconds": None, "is_paused": False, "result": {}}
    copied = ("done", "total", "stage", "eta_seconds", "rate", "updated_at", "figures")
    state = unset | {key: report.get(key) for key in copied}
    silence = progress.silent_seconds(report)
    if silence > progress.STALE_AFTER:
        state |= {"message": user_messages.NO_SIGN_OF_LIFE.format(silence), "eta_seconds": None, "rate": None}
    return state
