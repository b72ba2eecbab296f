"""The tasks of the default worker. Each keeps the app's limit, so that no mail waits behind a long one (practice 3)."""

from celery import shared_task

from workers import jobs
from workers.default import password_reset
from workers.jobs import RetryLater
from workers.practices import backlog, locks
from workers.runtime import pending_guard
from workers.telemetry import dead_letters, rollups

LEASE_SECONDS = 30
MAX_MAIL_FAILURES = 60
MAIL_RETRY_SECONDS = 60


@shared_task
def send_password_reset(job_id: str) -> None:
    """Tries once a minute, for an hour."""
    with jobs.working_on(job_id) as job:
        try:
            job.result = {"sent": password_reset.send(job.arguments["user_id"])}
        except password_reset.MailServerUnavailableError as error:
            if job.count_failure() >= MAX_MAIL_FAILURES:
                raise
            raise RetryLater(MAIL_RETRY_SECONDS, f"The mail server did not answer: {error}") from error


@shared_task
def delete_files(job_id: str) -> None:
    """For the messages and rows of an older release: hands the job to the task that replaces this one."""
    jobs.move(job_id, "workers.highmem.tasks.delete_files")


@shared_task
def sweep_jobs() -> None:
    with locks.exclusive("sweep_jobs", lease=LEASE_SECONDS):
        jobs.sweep()


@shared_task
def collect_runs() -> None:
    with locks.exclusive("collect_runs", lease=LEASE_SECONDS):
        dead_letters.collect_dead_letters(on_letter=pending_guard.clear_marks)
        rollups.collect_runs()


@shared_task
def answer_canary(queue: str) -> None:
    """Shows that a queue is consumed (practice 8)."""
    backlog.answer_canary(queue)
