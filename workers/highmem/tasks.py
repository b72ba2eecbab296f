"""Tasks of the high-memory worker: CSV imports, reports, and housekeeping that may take longer than a mail waits.

An import waits behind housekeeping: so no run of it is longer than LIMIT_SECONDS.
"""

from contextlib import suppress

from celery import shared_task

from workers import jobs
from workers.csvimport.job import run_import_job
from workers.csvimport.target_table import TargetTable
from workers.highmem import retention
from workers.jobs import RetryLater
from workers.practices import locks, memory
from workers.reports.rows import open_rows
from workers.reports.run import FOLDER, build_report
from workers.runtime import stopping
from workers.storage import cleanup
from workers.storage.workspace import MAX_RETRY_SECONDS, WorkspaceError, open_workspace, retry_if_storage_is_away
from workers.telemetry import queue_samples, rollups

LEASE_SECONDS = 30
SOFT_LIMIT_SECONDS, LIMIT_SECONDS = 50, 60


@shared_task(soft_time_limit=3300, time_limit=3600)
def import_catalogue(job_id: str) -> None:
    with (
        jobs.working_on(job_id) as job,
        job.writing_to(job.arguments["table"]),
        open_workspace(job.report) as files,
        files.fetch(job.arguments["source"]).open("rb") as source,
    ):
        job.result = run_import_job(job, source)


@shared_task(soft_time_limit=3300, time_limit=3600)
def report_on_rows(job_id: str) -> None:
    with jobs.working_on(job_id) as job, open_workspace(job.report) as files:
        table = TargetTable.of_owner(job.arguments["table"], job.owner_id)
        source = files.fetch(job.arguments["source"]) if "source" in job.arguments else None
        folder, limit = files.results_folder(FOLDER.format(job.id)), memory.max_bytes_per_run("highmem")
        with open_rows(table, source, job.arguments, files.report) as rows:
            job.result = build_report(rows, same=job.arguments["same"], folder=folder, limit=limit, report=files.report)


@shared_task(soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=LIMIT_SECONDS)
def delete_files(job_id: str) -> None:
    # A silent storage holds this worker for 16 s, and imports wait: so the pause between tries doubles.
    with jobs.working_on(job_id) as job:
        try:
            with retry_if_storage_is_away(job.number):
                cleanup.delete_files(**job.arguments)
        except WorkspaceError as error:  # the storage refuses, and nobody sees this job to start it again
            raise RetryLater(MAX_RETRY_SECONDS, error.sentence) from error


@shared_task(soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=LIMIT_SECONDS)
def change_jobs(job_id: str) -> None:
    """Retries or cancels the jobs that somebody of the staff has selected."""
    with jobs.working_on(job_id) as job:
        jobs.change_selected(job)


@shared_task(soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=LIMIT_SECONDS)
def roll_up_runs() -> None:
    with locks.exclusive("roll_up_runs", lease=LEASE_SECONDS):
        rollups.roll_up_hours()
        queue_samples.roll_up_samples()


@shared_task(soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=LIMIT_SECONDS)
def delete_old() -> None:
    with locks.exclusive("delete_old", lease=LEASE_SECONDS) as lease, suppress(stopping.WorkerStopping):
        retention.run_cleanups(lease)
