"""The site's Celery app whose workers live, keep their connection, and begin nothing: `--app tests.deaf_app`.

Once the file of the environment variable MAY_BEGIN exists, they begin what they took.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.worker.consumer import Consumer

from config.celery import app  # noqa: F401 - Celery looks for it here

begin = Consumer.create_task_handler
may_begin = Path(os.environ["MAY_BEGIN"])


def take_only(self: Consumer, *args: Any, **options: Any) -> Callable[[Any], None]:
    """The handler of a message: it stays unacknowledged, as one that waits for a process of the pool."""
    handle, taken = begin(self, *args, **options), list[Any]()

    def begin_taken() -> None:
        while taken and may_begin.exists():
            handle(taken.pop())

    self.hub.call_repeatedly(0.1, begin_taken)
    return taken.append


Consumer.create_task_handler = take_only
