"""What a browser does with the page on which somebody says what the columns of a CSV are."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mediaapp.models import Upload
from workers.models import Job

JSON = {"Accept": "application/json"}


def send(client: Client, text: str | bytes, name: str = "books.csv") -> Upload:
    content = text.encode() if isinstance(text, str) else text
    job_id = client.post("/uploads/", {"file": SimpleUploadedFile(name, content)}, headers=JSON).json()["id"]
    return Upload.objects.select_related("job").get(pk=job_id)


def page_of(upload: Upload) -> str:
    return reverse("mapping", args=[upload.pk])


def form_of(client: Client, upload: Upload, **more: str) -> dict[str, str]:
    """What a browser sends: the page's own values, and what was changed."""
    context = client.get(page_of(upload)).context
    values = {select["name"]: select["chosen"] for select in context["selects"]}
    if "preview" in context:
        values |= {"digest": context["digest"]}
        values |= {
            f"column-{row['field'].name}": "" if row["column"] is None else row["column"] for row in context["fields"]
        }
    return values | more


def confirm(client: Client, upload: Upload, **more: str):
    return client.post(reverse("confirm_mapping", args=[upload.pk]), form_of(client, upload, **more))


def job_of(upload: Upload) -> Job:
    return Job.objects.get(pk=upload.pk)
