"""The base of every task: an error of a task ends that task, and never its worker.

Otherwise a task's MemoryError or SystemExit stops worker after worker (docs/facts/celery.md#memory-error,
docs/facts/celery.md#system-exit).
Not public in billiard 4.3: `terminate_handler_fired`.
"""

from typing import Any

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]
from celery.contrib.django.task import DjangoTask


class FatalTaskError(RuntimeError):
    """Replaces an error that would end the worker."""


class Task(DjangoTask):
    Request = "workers.runtime.lost_child:Request"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except (MemoryError, SystemExit) as error:
            if not is_raised_by_task(error):
                raise
            raise FatalTaskError(repr(error)) from error


def is_raised_by_task(error: BaseException) -> bool:
    """False for an error that a signal raised: the one that ends this process, or Ctrl-C."""
    return isinstance(error, (Exception, SystemExit)) and not terminate_handler_fired()
