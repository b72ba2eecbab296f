"""The site's Celery app whose workers live, keep their connection, and begin nothing: `--app tests.deaf_app`."""

from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

from config.celery import app  # noqa: F401 - Celery looks for it here


def take_and_forget(self: Consumer, *_: Any, **__: Any) -> Callable[[Any], None]:
    """The handler of a message: it stays unacknowledged, as one that waits for a process of the pool."""
    return lambda message: None


Consumer.create_task_handler = take_and_forget
