"""A job that reports until it is cancelled, for labs/deaths.py. CELERY_WORKER_INCLUDE names this module to a worker."""

import time

from celery import shared_task

from workers import jobs

TASK = "labs.deaths_task.report_until_cancelled"


@shared_task(name=TASK, soft_time_limit=7200, time_limit=7210)
def report_until_cancelled(job_id: str) -> None:
    with jobs.working_on(job_id) as job:
        while True:
            job.report(1, 2, "working")
            time.sleep(0.2)
