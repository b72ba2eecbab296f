"""The line before a queue's workers: the place of each job, and how long until it starts."""

from collections.abc import Collection
from datetime import datetime, timedelta
from heapq import heapreplace
from math import inf
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.utils import timezone

from workers.jobs import user_messages
from workers.models import Job, QueueSample
from workers.practices import progress
from workers.queues import table

# In a queue with turns (workers/jobs/turns.py), the first jobs of all owners come before the second ones.
PLACES = """
    WITH line AS (
        SELECT id, queue, queued_at, min(dispatched_at) OVER (PARTITION BY queue, turns_of) AS owners_message,
            row_number() OVER (PARTITION BY queue, turns_of ORDER BY dispatched_at NULLS LAST, queued_at) AS turn
        FROM (
            SELECT *, CASE WHEN queue = ANY(%(in_turns)s) AND owner_id IS NOT NULL
                THEN owner_id::text ELSE id::text END AS turns_of
            FROM workers_job WHERE state = 'queued' AND queue = ANY(%(queues)s)
        ) AS queued
    ), ordered AS (
        SELECT id, queue, row_number() OVER (
            PARTITION BY queue ORDER BY turn, owners_message NULLS LAST, queued_at
        ) AS place FROM line
    )
    SELECT id, place + (SELECT count(*) FROM workers_job WHERE state = 'running' AND queue = ordered.queue),
        EXISTS (SELECT FROM workers_pause WHERE kind = 'queue' AND name = ordered.queue)
    FROM ordered WHERE id = ANY(%(jobs)s)"""
LAST_RUNS = 20
MAX_SAMPLE_AGE = timedelta(minutes=2)
MIN_SECONDS = 5  # a shorter wait is not said


class Place(NamedTuple):
    """number: running jobs are before it, so 1 is the place of a job that nothing holds up. is_paused: its queue."""

    number: int
    is_paused: bool


def places(jobs: Collection[Job]) -> dict[UUID, Place]:
    """Of queued jobs."""
    queues = {job.queue for job in jobs}
    if not queues:
        return {}
    in_turns = [queue.name for queue in table().queues.values() if queue.in_turns]
    values: dict[str, Any] = {"queues": list(queues), "in_turns": in_turns, "jobs": [job.pk for job in jobs]}
    with connection.cursor() as cursor:
        cursor.execute(PLACES, values)
        return {job_id: Place(*place) for job_id, *place in cursor.fetchall()}


def seconds_until_start(job: Job, place: int) -> float | None:
    """None if it is unknown, or so short that it is not worth saying. place: of the queued job, from `places`.

    From what the running jobs report, the last runs, and the workers that consume the queue: one read of the cache.
    """
    queue, now = table().queues[job.queue], timezone.now()
    usual, slots = _usual_seconds(job.queue), _slots(job.queue, now)
    if not slots:
        return None
    left = _running(job.queue, usual, now)
    same = {each: seconds for each, seconds in left.items() if each.queue == job.queue}
    before = max(0, place - 1 - len(same))
    start = _first_free(left.values(), slots, before, usual)
    if queue.serialize_by:
        start = max(start, _first_free(same.values(), queue.max_writers, before, usual))
        own = [seconds for each, seconds in same.items() if each.owner_id == job.owner_id]
        earlier = Job.objects.filter(queue=job.queue, owner=job.owner_id, state=Job.State.QUEUED)
        start = max(start, _first_free(own, 1, earlier.filter(queued_at__lt=job.queued_at).count(), usual))
    return start if MIN_SECONDS <= start < inf else None


def _slots(queue: str, now: datetime) -> int:
    """How many of its jobs can run at once, 0 if it is unknown."""
    newest = QueueSample.objects.filter(queue=queue, taken_at__gt=now - MAX_SAMPLE_AGE).order_by("-taken_at")
    consumers = newest.values_list("consumers", flat=True).first() or 0
    return consumers * next(each.concurrency for each in table().workers if each.name == table().consumers[queue])


def _usual_seconds(queue: str) -> float:
    """Of a run, infinite if none has ended yet."""
    ended = Job.objects.filter(queue=queue, state=Job.State.DONE, started_at__isnull=False).order_by("-started_at")
    runs = ended.values_list("started_at", "finished_at")[:LAST_RUNS]
    seconds = [(end - start).total_seconds() for start, end in runs if start and end]
    return median(seconds) if seconds else inf


def _running(queue: str, usual: float, now: datetime) -> dict[Job, float]:
    """The seconds that are left of each running job of the queue's workers, which may consume other queues too."""
    queues = [name for name, worker in table().consumers.items() if worker == table().consumers[queue]]
    jobs = Job.objects.filter(state=Job.State.RUNNING, queue__in=queues).only("queue", "owner", "started_at")
    reports = progress.read_many(job.pk for job in jobs)
    return {job: _seconds_left(job, reports.get(job.pk), usual if job.queue == queue else inf, now) for job in jobs}


def _seconds_left(job: Job, report: dict[str, Any] | None, usual: float, now: datetime) -> float:
    """Of a running job. Infinite if it is unknown: it reports none, and has run for longer than others do."""
    if report and report["eta_seconds"] is not None and report["stage"] != user_messages.FETCHING:
        silence = progress.silent_seconds(report)
        if silence <= progress.STALE_AFTER:
            return max(0.0, float(report["eta_seconds"]) - silence)
    left = usual - (now - job.started_at).total_seconds() if job.started_at else inf
    return left if left > 0 else inf


def _first_free(busy: Collection[float], slots: int, before: int, usual: float) -> float:
    """Seconds until a slot is free, and as many jobs as stand before have begun. busy: seconds left of running jobs."""
    free = sorted([*busy, *[0.0] * (slots - len(busy))])
    for _ in range(before):
        heapreplace(free, free[0] + usual)
    return free[0]
