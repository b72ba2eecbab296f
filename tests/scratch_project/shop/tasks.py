"""The shop's tasks. A project that follows the nine practices has these locks and limits."""

from celery import shared_task

from workers import jobs
from workers.practices import backlog, locks
from workers.telemetry import rollups


@shared_task
def send_receipt(job_id: str) -> None:
    with jobs.working_on(job_id):
        pass


@shared_task
def answer(queue: str) -> None:
    backlog.answer_canary(queue)


@shared_task
def collect() -> None:
    with locks.exclusive("collect", lease=30):
        rollups.collect_runs()
        rollups.roll_up_hours()


@shared_task
def count_stock() -> None:
    with locks.exclusive("count_stock", lease=30):
        pass


@shared_task(soft_time_limit=500, time_limit=600)
def pack_parcel(job_id: str) -> None:
    with jobs.working_on(job_id) as job, job.writing_to(job.arguments["shelf"]):
        pass
