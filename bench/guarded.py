"""The same second with a lock and progress, as our tasks have them. Signals add the timing."""

import time
from typing import Any

from celery import Task, shared_task

from bench.tasks import STEPS
from workers.practices import locks, progress


@shared_task(bind=True)
def sleep_one_second(task: Task) -> None:
    """Reports at each step, more often than progress is written."""
    run: Any = task.request.id
    with locks.exclusive(f"second:{run}", lease=30) as lease:
        reporter = progress.Progress(run, owner=1)
        for step in range(STEPS):
            time.sleep(1 / STEPS)
            lease.check()
            reporter.report(step + 1, STEPS, "waiting")
    progress.clear(run)
