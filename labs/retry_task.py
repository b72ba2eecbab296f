"""A job that does nothing, for labs/retry_many.py. CELERY_WORKER_INCLUDE names this module to a worker."""

from celery import shared_task

from workers import jobs


@shared_task(soft_time_limit=7200, time_limit=7210)
def do_nothing(job_id: str) -> None:
    with jobs.working_on(job_id):
        pass
