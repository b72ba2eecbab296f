"""What a poll of a job answers."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from workers.jobs import user_messages
from workers.models import Job
from workers.practices import progress

# One pass over the jobs of these queues: 10 ms for 10,000. A count for each of 25 jobs takes 80 ms. With IN instead of
# OR, PostgreSQL uses neither partial index: 35 ms.
PLACES = """
    SELECT id, place
    FROM (
        SELECT id, state, row_number() OVER (PARTITION BY queue ORDER BY state = 'queued', queued_at) AS place
        FROM workers_job
        WHERE (state = 'queued' OR state = 'running') AND queue = ANY(%(queues)s)
    ) AS line
    WHERE state = 'queued' AND id = ANY(%(ids)s)
"""


def state_of(job: Job) -> dict[str, Any]:
    """The JSON of `/jobs/<uuid>/progress.json`."""
    return states_of([job])[0]


def states_of(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """In the order of the jobs. All of them cost one command to the cache and one query, or none."""
    reports = progress.read_many(job.pk for job in jobs if job.state == Job.State.RUNNING)
    places = positions([job for job in jobs if job.state == Job.State.QUEUED])
    return [
        running_state(reports[job.pk]) if job.pk in reports else _row_state(job, places.get(job.pk)) for job in jobs
    ]


def _row_state(job: Job, place: int | None) -> dict[str, Any]:
    done = int(job.state == Job.State.DONE)
    return {
        "state": job.state,
        "done": done,
        "total": done,
        "stage": user_messages.STARTING if job.is_active else "",
        "message": job.message,
        "eta_seconds": None,
        "queue_position": place,
        "result": job.result,
    }


def running_state(report: dict[str, Any]) -> dict[str, Any]:
    """The answer of state_of(), from a report and without SQL."""
    unset: dict[str, Any] = {"state": Job.State.RUNNING.value, "message": "", "queue_position": None, "result": {}}
    copied = ("done", "total", "stage", "eta_seconds", "rate", "updated_at", "figures")
    state = unset | {key: report.get(key) for key in copied}
    silence = progress.silent_seconds(report)
    if silence > progress.STALE_AFTER:
        state |= {"message": user_messages.NO_SIGN_OF_LIFE.format(silence), "eta_seconds": None, "rate": None}
    return state


def positions(queued: Collection[Job]) -> dict[UUID, int]:
    """The place in line of each: 1 starts next. The jobs at work are in front; a job that started meanwhile has 1."""
    if not queued:
        return {}
    ids, queues = [job.pk for job in queued], list({job.queue for job in queued})
    with connection.cursor() as cursor:
        cursor.execute(PLACES, {"ids": ids, "queues": queues})
        return dict.fromkeys(ids, 1) | dict(cursor.fetchall())
