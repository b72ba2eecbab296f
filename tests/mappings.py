"""The steps of a browser on the mapping page of a CSV."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mediaapp.models import Upload
from workers.models import Job

JSON = {"Accept": "application/json"}


def upload_csv(client: Client, text: str | bytes, name: str = "books.csv") -> Upload:
    content = text.encode() if isinstance(text, str) else text
    job_id = client.post("/uploads/", {"file": SimpleUploadedFile(name, content)}, headers=JSON).json()["id"]
    return Upload.objects.select_related("job").get(pk=job_id)


def mapping_url(upload: Upload) -> str:
    return reverse("mapping", args=[upload.pk])


def mapping_form(client: Client, upload: Upload, **more: str) -> dict[str, str]:
    """The form that a browser sends: the page's values, with changes."""
    context = client.get(mapping_url(upload)).context
    values = {select["name"]: select["chosen"] for select in context["selects"]}
    values |= {"start": context["start"]}
    if "preview" in context:
        values |= {"digest": context["digest"]}
        values |= {
            f"column-{row['field'].name}": "" if row["column"] is None else row["column"] for row in context["fields"]
        }
    return values | more


def confirm_mapping(client: Client, upload: Upload, **more: str):
    return client.post(reverse("confirm_mapping", args=[upload.pk]), mapping_form(client, upload, **more))


def job_of(upload: Upload) -> Job:
    return Job.objects.get(pk=upload.pk)
