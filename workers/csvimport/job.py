"""Runs the CSV import of a job."""

from functools import partial
from typing import IO, Any

from django.conf import settings

from workers.csvimport.reading.dialect import dialect_from_arguments
from workers.csvimport.reading.table_start import start_from_arguments
from workers.csvimport.rejected_rows import store_rejections
from workers.csvimport.run import CsvImport
from workers.csvimport.target_table import TargetTable
from workers.jobs.attempt import Attempt


def run_import_job(job: Attempt, source: IO[bytes]) -> dict[str, Any]:
    return CsvImport(
        source=source,
        table=TargetTable.of_owner(job.arguments["table"], job.owner_id),
        checkpoint=job.checkpoint,
        save=job.save,
        reject=partial(store_rejections, job.id),
        report=job.report,
        dialect=dialect_from_arguments(job.arguments),
        start=start_from_arguments(job.arguments),
        columns=job.arguments.get("columns"),
        max_rejected_share=1 if job.arguments.get("force") else settings.IMPORT_MAX_BAD_SHARE,
    ).run()
