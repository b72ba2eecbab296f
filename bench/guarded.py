"""The same second with a lock around it and progress in it, as our tasks have them; the timing comes by itself."""

import time
from typing import Any

from celery import Task, shared_task

from bench.tasks import STEPS
from workers.practices import locks, progress


@shared_task(bind=True)
def take_a_second(task: Task) -> None:
    """Reports at each step, which is more often than progress is written."""
    run: Any = task.request.id
    with locks.exclusive(f"second:{run}", lease=30) as lease:
        told = progress.Progress(run, owner=1)
        for step in range(STEPS):
            time.sleep(1 / STEPS)
            lease.check()
            told.report(step + 1, STEPS, "waiting")
    progress.clear(run)
