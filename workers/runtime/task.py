"""The base of every task: what its code raises ends that task, and never the worker.

The fault: Celery raises a task's MemoryError again in the worker's main process, and takes a task's SystemExit for a
dead pool process. Either way the message comes back: one bad file stops worker after worker
(docs/facts/celery.md#memory-error, docs/facts/celery.md#system-exit).
Not public in billiard 4.3: `terminate_handler_fired`.
"""

from typing import Any

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]
from celery.contrib.django.task import DjangoTask


class Fatal(RuntimeError):
    """What a task raised in place of it would have ended its worker."""


class Task(DjangoTask):
    """The `task_cls` of the app."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task. Raises what it raises, but Fatal for a MemoryError and for a SystemExit of its own."""
        try:
            return super().__call__(*args, **kwargs)
        except (MemoryError, SystemExit) as error:
            if not is_of_the_task(error):
                raise
            raise Fatal(repr(error)) from error


def is_of_the_task(error: BaseException) -> bool:
    """Whether the task's own code raised it, and not the signal that ends this process, or Ctrl-C."""
    return isinstance(error, (Exception, SystemExit)) and not terminate_handler_fired()
