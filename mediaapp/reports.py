"""ask_for(): the one place where a report and its job start; and what becomes of those that are too many."""

from django.db import transaction

from mediaapp.models import CatalogueItem, Report, Upload, User
from workers import jobs
from workers.models import Job

TASK = "workers.highmem.tasks.report_on_rows"
ALIKE = ["title", "creator"]  # rows that agree in these are most likely one thing entered twice
KEPT = 5  # reports of an owner: each holds a copy of the rows


def ask_for(owner: User, upload: Upload | None = None) -> Report:
    """A report on the owner's catalogue, or on one CSV file of the owner's.

    Where the same one is queued or running already it is that one. The oldest ended ones beyond KEPT are deleted.
    """
    # Of a file all that its import was told: it is read in the same way.
    told = upload.job.arguments | {"source": upload.file} if upload else {}
    arguments = told | {"table": CatalogueItem._meta.label, "same": ALIKE}
    with transaction.atomic():
        # A second click waits here for the first one. An import, whose rows refer to the owner, does not wait.
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        reports = Report.objects.filter(owner=owner).order_by("-created_at")
        under_way = reports.filter(upload=upload).exclude(job__state__in=Job.FINAL).first()
        if under_way:
            return under_way
        too_many = reports.filter(job__state__in=Job.FINAL).values_list("pk", flat=True)[KEPT - 1 :]
        Job.objects.filter(pk__in=list(too_many)).delete()
        job = jobs.create(TASK, owner_id=owner.pk, arguments=arguments)
        return Report.objects.create(job=job, owner=owner, upload=upload)
