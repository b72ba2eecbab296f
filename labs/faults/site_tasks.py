"""Tasks of the site's app, which use the site's modules."""

import time

from celery import shared_task

from labs.faults.tasks import ENDLESS, write
from workers import jobs
from workers.practices import locks


@shared_task(name="hold_site_lock", **ENDLESS)
def hold_site_lock(seconds: float) -> None:
    try:
        with locks.exclusive("the lab's", lease=30):
            write("begun")
            time.sleep(seconds)
    except locks.Busy:
        write("busy")
        raise


@shared_task(name="run_job", **ENDLESS)
def run_job(job_id: str) -> None:
    with jobs.working_on(job_id):
        write("begun cancelled")
