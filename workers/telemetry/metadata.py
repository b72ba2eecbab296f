"""What a run's record takes from Celery's request, and from the error that ended the run."""

import traceback
from datetime import datetime
from typing import Any

from celery import Task
from django.conf import settings

from workers.log_context import queue_of, redact

ERROR_CHARACTERS = 2_000


def run_metadata(task: Task, request: Any) -> dict[str, Any]:
    run = {
        "task": task.name,
        "queue": queue_of(request),
        "worker": request.hostname or "",
        "release": settings.RELEASE,
    }
    # The message of a job has its id, which is the task's id too (workers/runtime/publishing.py).
    return run | {"job_id": request.id} if [*(request.args or ())] == [request.id] else run


def error_metadata(error: BaseException) -> dict[str, str]:
    """The end of the traceback, as PostgreSQL stores it: without null characters and halves of pairs."""
    text = redact("".join(traceback.format_exception(error))).replace("\0", "")
    return {"error": text[-ERROR_CHARACTERS:].encode("utf-8", "replace").decode()}


def wait_seconds(request: Any, now: float) -> float | None:
    """Since the publish or the ETA; None for a message without `published_at`."""
    published: float | None = getattr(request, "published_at", None)
    if published is None:
        return None
    due = datetime.fromisoformat(request.eta).timestamp() if request.eta else 0.0
    return max(0.0, now - max(published, due))
