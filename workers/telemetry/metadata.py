"""What a run's record takes from Celery's request."""

from datetime import datetime
from typing import Any

from celery import Task
from django.conf import settings

from workers.log_context import queue_of


def run_metadata(task: Task, request: Any) -> dict[str, Any]:
    return {
        "task": task.name,
        "queue": queue_of(request),
        "worker": request.hostname or "",
        "release": settings.RELEASE,
    }


def wait_seconds(request: Any, now: float) -> float | None:
    """Since the publish or the ETA; None for a message without `published_at`."""
    published: float | None = getattr(request, "published_at", None)
    if published is None:
        return None
    due = datetime.fromisoformat(request.eta).timestamp() if request.eta else 0.0
    return max(0.0, now - max(published, due))
