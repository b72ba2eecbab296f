"""What the cast owns, written straight into the tables: an upload in any state of its job."""

from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils import timezone

from mediaapp.models import Upload, User
from mediaapp.uploads.receive import TASK_BY_KIND
from workers.models import Job
from workers.practices.progress import Progress
from workers.queues import table

State = Job.State
FILM = {"duration": 15.0, "width": 320, "height": 240, "bytes": 900, "has_sound": True}
RESULTS: dict[str, dict[str, Any]] = {
    "video": {"before": FILM, "after": FILM},
    "csv": {"rows": 3, "created": 3, "updated": 0, "unchanged": 0, "rejected": 0, "header": ["external_id", "title"]},
}


def upload_of(owner: User, state: str = State.QUEUED, *, kind: str = "video", name: str = "", **job: Any) -> Upload:
    """An upload whose job is in `state`; `job` are more of the job's fields."""
    now = timezone.now()
    moments = {
        "queued_at": now,
        "started_at": None if state == State.QUEUED else now,
        "finished_at": now if state in Job.FINAL else None,
    }
    if state == State.DONE:
        job = {"result": RESULTS[kind]} | job
    task = TASK_BY_KIND[kind]
    written = Job.objects.create(task=task, queue=table().queue_of(task), owner=owner, state=state, **moments | job)
    folder, name = f"uploads/{written.pk}", name or {"video": "holiday.mov", "csv": "books.csv"}[kind]
    return Upload.objects.create(job=written, owner=owner, kind=kind, name=name, file=f"{folder}/source", size=1000)


def running_upload_of(owner: User, done: int = 5, total: int = 15) -> Upload:
    """A video in transcoding, which reported its progress a moment ago."""
    upload = upload_of(owner, State.RUNNING, attempt=1, worker="video@host")
    Progress(upload.pk, owner.pk).report(done, total, "transcoding")
    return upload


def add_file(upload: Upload, name: str, content: bytes) -> None:
    """Puts a file beside the upload's source, as its task does."""
    default_storage.save(upload.file.replace("source", name), ContentFile(content))


def pages_of(upload: Upload) -> list[str]:
    """Every address under which something of it can be read."""
    names = ("job", "progress", "progress_json", "video", "poster", "rejected_rows")
    return [reverse(name, args=[upload.pk]) for name in names]
