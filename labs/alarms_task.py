"""Tasks that break practices, for labs/alarms.py. CELERY_WORKER_INCLUDE names this module to a worker."""

import time

from celery import shared_task

from labs.alarms_names import REPORTING, SILENT, SLOW, SLOW_SECONDS
from workers import jobs
from workers.default import tasks
from workers.models import Job

GREEDY_BYTES = 400 << 20
LIMITS = {"soft_time_limit": 7200, "time_limit": 7210}


@shared_task(name=REPORTING, **LIMITS)
def report_for_ever(job_id: str) -> None:
    """Takes no turn, as a task of a queue that is serialized must."""
    with jobs.working_on(job_id) as job:
        while True:
            job.report(1, 2, "working")
            time.sleep(0.2)


@shared_task(name=SILENT, **LIMITS)
def report_nothing(job_id: str) -> None:
    with jobs.working_on(job_id):
        while Job.objects.filter(pk=job_id, cancel_requested_at=None).exists():
            time.sleep(0.5)


@shared_task(name=SLOW)
def run_slowly() -> None:
    time.sleep(SLOW_SECONDS)


def use_much_memory(*_: object) -> None:
    memory = bytearray(GREEDY_BYTES)
    memory[::4096] = b"x" * len(memory[::4096])  # each page is used
    time.sleep(1)


tasks.delete_files.run = use_much_memory
