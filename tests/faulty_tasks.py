"""Tasks that do what tasks should not. Each writes a line when it begins; some end only when the test lets them."""

import os
import subprocess
import sys
import time
from pathlib import Path

from celery import shared_task
from django.conf import settings

from workers import jobs
from workers.jobs import outbox
from workers.runtime import stopping

# Not in fast_app.py, which is imported before the models.
outbox.LOST_SECONDS = int(os.environ.get("LOST_SECONDS", outbox.LOST_SECONDS))
ENDLESS = {"soft_time_limit": 600, "time_limit": 660}  # until the test lets it end, on a busy machine too


def write(line: str) -> None:
    with Path(settings.MEDIA_ROOT, "lines").open("a") as file:
        file.write(f"{line}\n")


def lines() -> list[str]:
    """What the tasks of this test have written."""
    file = Path(settings.MEDIA_ROOT, "lines")
    return file.read_text().splitlines() if file.exists() else []


def let_go() -> None:
    Path(settings.MEDIA_ROOT, "go").touch()


def is_let_go() -> bool:
    time.sleep(0.05)
    return Path(settings.MEDIA_ROOT, "go").exists()


@shared_task
def do_nothing() -> None:
    write("do_nothing")


@shared_task(**ENDLESS)
def wait_for_go() -> None:
    write("waiting")
    while not is_let_go():
        pass


@shared_task
def run_out_of_memory() -> None:
    write("run_out_of_memory")
    raise MemoryError


@shared_task
def leave() -> None:
    write("leave")
    sys.exit(3)


@shared_task
def run_out_of_memory_in_a_job(job_id: str) -> None:
    with jobs.working_on(job_id):
        write("run_out_of_memory_in_a_job")
        raise MemoryError


@shared_task
def leave_in_a_job(job_id: str) -> None:
    with jobs.working_on(job_id):
        write("leave_in_a_job")
        sys.exit(3)


@shared_task(**ENDLESS)
def report_for_ever(job_id: str) -> None:
    with jobs.working_on(job_id) as job:
        write(f"report from {job.checkpoint.get('step', 0)}")
        job.save({"step": 7}, {"rows": 7})
        while not is_let_go():
            job.report(7, 100, "going on")


@shared_task(**ENDLESS)
def never_report(job_id: str) -> None:
    with jobs.working_on(job_id):
        write("silence")
        while not is_let_go():
            pass


@shared_task(**ENDLESS)
def end_soon_after_a_stop(job_id: str) -> None:
    with jobs.working_on(job_id):
        write("begin")
        try:
            while not is_let_go():
                stopping.check_stop_requested()
        except stopping.WorkerStopping:
            time.sleep(0.5)
            write("end")


@shared_task(**ENDLESS)
def run_program(job_id: str) -> None:
    with jobs.working_on(job_id) as job, subprocess.Popen([sys.executable, "-c", "while True: pass"]) as program:
        write("program")
        while not is_let_go():
            job.report(1, 2, "going on")
        program.kill()


@shared_task(**ENDLESS)
def do_nothing_in_a_job(job_id: str) -> None:
    with jobs.working_on(job_id):
        pass
