"""The workers and the jobs of labs/8_backlog.py. Each worker imports this module."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

from celery import current_app, shared_task
from django.utils import timezone

from devtools import processes
from devtools.processes import wait_until
from workers import jobs
from workers.brokers.state import read_queue_states
from workers.models import Job
from workers.practices import backlog

WORKERS = {"video": 2, "highmem": 1, "imports": 2}  # processes by queue
PREFETCH = 4  # messages for each process: Celery's default
current_app.conf.worker_enable_remote_control = True  # as in a new project


@shared_task(soft_time_limit=7200, time_limit=7210)
def work(job_id: str) -> None:
    """A job that sleeps."""
    with jobs.working_on(job_id) as job:
        time.sleep(job.arguments["seconds"])


@contextmanager
def running_workers(sizes: Mapping[str, float]) -> Iterator[processes.Process]:
    """Yields the one of the videos, whose jobs do not end, once it has prefetched its messages."""
    with ExitStack() as stack:
        started = {queue: stack.enter_context(worker(queue, count)) for queue, count in WORKERS.items()}
        publish("video", int(sizes["jobs"]), seconds=3600)
        taken = PREFETCH * WORKERS["video"]
        wait_until(lambda: read_queue_states()["video"]["unacked"] == taken, "the worker to prefetch")
        yield started["video"]


def worker(queue: str, concurrency: int) -> AbstractContextManager[processes.Process]:
    options = f"--concurrency={concurrency}", f"--prefetch-multiplier={PREFETCH}", f"--include={__name__}"
    return processes.celery("worker", f"--hostname={queue}@%h", f"--queues={queue}", *options, app="config")


def publish(queue: str, count: int, seconds: float) -> None:
    fields = {"task": work.name, "queue": queue, "arguments": {"seconds": seconds}}
    for _ in range(count):
        jobs.publish(Job.objects.create(queued_at=timezone.now(), **fields))


def wait_for(queue: str, count: float) -> float:
    """Until no more than that have not ended. Returns the age of the oldest one that waited, at its highest."""
    oldest = 0.0
    while Job.objects.filter(queue=queue, finished_at=None).count() > count:
        oldest = max(oldest, backlog.oldest_waits().get(queue, 0.0))
        time.sleep(0.05)
    return oldest
