"""Tasks of the high-memory worker: CSV imports and reports."""

from celery import shared_task

from workers import jobs
from workers.csvimport.job import run_import_job
from workers.csvimport.target_table import TargetTable
from workers.practices import memory
from workers.reports.rows import open_rows
from workers.reports.run import FOLDER, build_report
from workers.storage.workspace import open_workspace


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
