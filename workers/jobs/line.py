"""The line before a queue's workers: the place of each job, and how long until it starts."""

from collections.abc import Collection
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from workers.models import Job, QueueSample
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
    SELECT id, place + (SELECT count(*) FROM workers_job WHERE state = 'running' AND queue = ordered.queue)
    FROM ordered WHERE id = ANY(%(jobs)s)"""
LAST_RUNS = 20
MAX_SAMPLE_AGE = timedelta(minutes=2)


def places(jobs: Collection[Job]) -> dict[UUID, int]:
    """Of queued jobs. Running jobs are before them: 1 is the place of a job that nothing holds up."""
    queues = {job.queue for job in jobs}
    if not queues:
        return {}
    in_turns = [queue.name for queue in table().queues.values() if queue.in_turns]
    values: dict[str, Any] = {"queues": list(queues), "in_turns": in_turns, "jobs": [job.pk for job in jobs]}
    with connection.cursor() as cursor:
        cursor.execute(PLACES, values)
        return dict(cursor.fetchall())


def seconds_until_start(queue: str, place: int) -> float | None:
    """From the last runs and the workers that consume the queue. None if either is unknown."""
    ended = Job.objects.filter(queue=queue, state=Job.State.DONE, started_at__isnull=False).order_by("-started_at")
    runs = ended.values_list("started_at", "finished_at")[:LAST_RUNS]
    newest = QueueSample.objects.filter(queue=queue, taken_at__gt=timezone.now() - MAX_SAMPLE_AGE).order_by("-taken_at")
    consumers = newest.values_list("consumers", flat=True).first()
    seconds = [(end - start).total_seconds() for start, end in runs if start and end]
    if not (consumers and seconds):
        return None
    worker = table().consumers[queue]
    concurrency = next(each.concurrency for each in table().workers if each.name == worker)
    return (place - 1) * median(seconds) / (consumers * concurrency)
