"""The tasks of the default worker. Each keeps the app's limit of 30 s, so that none waits behind a long one."""

from celery import shared_task

from workers import jobs
from workers.default import password_reset, retention
from workers.jobs import RetryLater
from workers.practices import backlog, locks
from workers.runtime import pending_guard
from workers.storage import cleanup
from workers.storage.workspace import retry_if_storage_is_away
from workers.telemetry import dead_letters, queue_samples, rollups

LEASE_SECONDS = 30
MAX_MAIL_ATTEMPTS = 60
MAIL_RETRY_SECONDS = 60


@shared_task
def send_password_reset(job_id: str) -> None:
    """Tries once a minute, for an hour."""
    with jobs.working_on(job_id) as job:
        try:
            job.result = {"sent": password_reset.send(job.arguments["user_id"])}
        except password_reset.MailServerUnavailableError as error:
            if job.number >= MAX_MAIL_ATTEMPTS:
                raise
            raise RetryLater(MAIL_RETRY_SECONDS, f"The mail server did not answer: {error}") from error


@shared_task
def delete_files(job_id: str) -> None:
    # A silent storage holds a slot for 16 s, and urgent mails share the slots: so the pause between tries doubles.
    with jobs.working_on(job_id) as job, retry_if_storage_is_away(job.number):
        cleanup.delete_folder(job.arguments["folder"])


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
def roll_up_runs() -> None:
    with locks.exclusive("roll_up_runs", lease=LEASE_SECONDS):
        rollups.roll_up_hours()


@shared_task
def answer_canary(queue: str) -> None:
    """Shows that a queue is consumed (practice 8)."""
    backlog.answer_canary(queue)


@shared_task
def delete_old() -> None:
    with locks.exclusive("delete_old", lease=LEASE_SECONDS):
        retention.delete_hidden_jobs()
        queue_samples.delete_old_samples()
        cleanup.delete_broken_uploads()
        rollups.delete_old_runs()
        retention.run_site_cleanups()
        cleanup.abort_old_multipart()
