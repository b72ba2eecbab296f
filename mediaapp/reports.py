"""The only place that creates reports and their jobs."""

from django.db import transaction

from mediaapp.models import CatalogueItem, Report, Upload, User
from workers import jobs
from workers.models import Job

TASK = "workers.highmem.tasks.report_on_rows"
DUPLICATE_COLUMNS = ["title", "creator"]  # rows with equal values in these are probably duplicates
MAX_REPORTS = 5  # per owner: each holds a copy of the rows


def request_report(owner: User, upload: Upload | None = None) -> Report:
    """Returns the existing report if the same one is queued or running.

    Otherwise deletes the owner's oldest reports. upload: None for the whole catalogue.
    """
    # The report reads a file with the arguments of its import.
    import_arguments = upload.job.arguments | {"source": upload.file} if upload else {}
    arguments = import_arguments | {"table": CatalogueItem._meta.label, "same": DUPLICATE_COLUMNS}
    with transaction.atomic():
        # A second click waits for the first. no_key, so that an import can insert rows of this owner meanwhile.
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        reports = Report.objects.filter(owner=owner).order_by("-created_at")
        unfinished = reports.filter(upload=upload).exclude(job__state__in=Job.FINAL).first()
        if unfinished:
            return unfinished
        oldest = reports.filter(job__state__in=Job.FINAL).values_list("pk", flat=True)[MAX_REPORTS - 1 :]
        Job.objects.filter(pk__in=list(oldest)).delete()
        job = jobs.create(TASK, owner_id=owner.pk, arguments=arguments)
        return Report.objects.create(job=job, owner=owner, upload=upload)
