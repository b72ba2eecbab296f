"""What runs on the default worker: doorways of a few lines. `urgent`: mails that people wait for. `default`: the rest.

The hard limit of every task here is the app's 30 s (config/celery.py), so that nothing short waits behind it.
"""

from celery import shared_task

from workers import jobs
from workers.default import housekeeping, password_reset
from workers.jobs import RetryLater
from workers.practices import backlog, locks
from workers.runtime import pending_guard
from workers.storage import cleanup
from workers.storage.workspace import retry_if_storage_is_away
from workers.telemetry import dead_letters, rollups

SWEEP_LEASE = 30  # seconds
MAIL_TRIES = 60


@shared_task
def send_password_reset(job_id: str) -> None:
    """Mails a reset link to the user whose id is in the job; tries once a minute for an hour if no server takes it."""
    with jobs.working_on(job_id) as job:
        try:
            job.result = {"sent": password_reset.send(job.arguments["user_id"])}
        except password_reset.MailServerAway as error:
            if job.number >= MAIL_TRIES:
                raise
            raise RetryLater(60, f"The mail server did not answer: {error}") from error


@shared_task
def delete_files(job_id: str) -> None:
    """Deletes the job's folder of the storage, which nobody owns any more; as soon as the storage answers."""
    # A silent storage costs 16 s of a slot that urgent mails share: many such jobs come ever more rarely.
    with jobs.working_on(job_id) as job, retry_if_storage_is_away(job.number):
        cleanup.delete_folder(job.arguments["folder"])


@shared_task
def sweep_jobs() -> None:
    """Every 10 seconds: sends the jobs that should be with the broker and are not."""
    with locks.exclusive("sweep_jobs", lease=SWEEP_LEASE):
        jobs.sweep()


@shared_task
def collect_runs() -> None:
    """Every 10 seconds: moves the runs of all tasks, and those that never ran, from their stream into rows."""
    with locks.exclusive("collect_runs", lease=SWEEP_LEASE):
        dead_letters.collect(on_letter=pending_guard.clear)
        rollups.collect()


@shared_task
def roll_up_runs() -> None:
    """Every hour: sums up the runs by the hour."""
    with locks.exclusive("roll_up_runs", lease=SWEEP_LEASE):
        rollups.roll_up()


@shared_task
def answer_canary(queue: str) -> None:
    """Twice a minute: shows that its queue moves (practice 8)."""
    backlog.answer_canary(queue)


@shared_task
def delete_old() -> None:
    """Every night: deletes what nobody looks at any more."""
    with locks.exclusive("delete_old", lease=SWEEP_LEASE):
        housekeeping.delete_unseen_jobs()
        housekeeping.delete_old_samples()
        cleanup.delete_broken_uploads()
        rollups.delete_old()
        housekeeping.clean_up_the_site()
        cleanup.drop_old_parts()
