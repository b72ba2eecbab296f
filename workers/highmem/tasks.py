"""What runs on the high-memory worker, one at a time: CSV imports (`imports`) and reports (`highmem`)."""

from functools import partial

from celery import shared_task
from django.apps import apps
from django.conf import settings

from workers import jobs
from workers.csvimport import rejects
from workers.csvimport.reading.dialect import dialect_in
from workers.csvimport.run import Table, import_csv
from workers.practices import memory
from workers.reports.rows import rows_of
from workers.reports.run import FOLDER, make_report
from workers.storage import workspace


@shared_task(soft_time_limit=3300, time_limit=3600)
def import_catalogue(job_id: str) -> None:
    """Writes the job's CSV into the table that it names, for the job's owner; with `force`, however bad its rows."""
    with (
        jobs.working_on(job_id) as job,
        job.writing_to(job.arguments["table"]),
        workspace.open_workspace(job.report) as here,
        here.fetch(job.arguments["source"]).open("rb") as source,
    ):
        job.result = import_csv(
            source,
            table=Table(apps.get_model(job.arguments["table"]), fixed={"owner_id": job.owner_id}),
            checkpoint=job.checkpoint,
            save=job.save,
            reject=partial(rejects.store, job.id),
            report=job.report,
            max_bad_share=1 if job.arguments.get("force") else settings.IMPORT_MAX_BAD_SHARE,
            dialect=dialect_in(job.arguments),
            columns=job.arguments.get("columns"),
        )


@shared_task(soft_time_limit=3300, time_limit=3600)
def report_on_rows(job_id: str) -> None:
    """Makes a report on the owner's rows of the table that the job names, or on those of the job's CSV."""
    with jobs.working_on(job_id) as job, workspace.open_workspace(job.report) as here:
        table = Table(apps.get_model(job.arguments["table"]), fixed={"owner_id": job.owner_id})
        source = here.fetch(job.arguments["source"]) if "source" in job.arguments else None
        folder, limit = here.results(FOLDER.format(job.id)), memory.limit_of_runs("highmem")
        with rows_of(table, source, job.arguments, here.report) as rows:
            job.result = make_report(rows, same=job.arguments["same"], folder=folder, limit=limit, report=here.report)
