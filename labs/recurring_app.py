"""The site's Celery app with one entry, every 2 s, whose task takes 5 s: `--app labs.recurring_app`, for lab 5.

Beat and the tasks write a ledger of what happens, to compare with what the site's telemetry counts.
"""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery import Task, shared_task
from celery.signals import after_task_publish

from config.celery import app
from workers.practices import locks
from workers.queues import table
from workers.runtime import pending_guard
from workers.schedule import every

NAME, TASK, NIGHTLY = "every 2 seconds", "labs.recurring_app.run_five_seconds", "labs.recurring_app.run_nightly"
INTERVAL_SECONDS, TASK_SECONDS = 2, 5
WAY = os.environ.get("WAY", "")

table().routes[TASK] = table().routes[NIGHTLY] = {"queue": "default"}
entry = every(timedelta(seconds=INTERVAL_SECONDS), TASK)
if WAY == "never":
    del entry["options"]["expires"], entry["options"]["expire_seconds"]
if WAY in ("never", "expires"):
    pending_guard.try_mark_pending = lambda _: True
app.conf.update(imports=("labs.recurring_app",), beat_schedule={NAME: entry}, leader_callbacks={})


def write(event: str, run: str) -> None:
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{event} {run}\n")


@after_task_publish.connect
def write_sent(sender: str, headers: dict[str, Any], **_: object) -> None:
    """Beat calls it for each message."""
    write("sent", headers["id"])


@shared_task(name=TASK, bind=True)
def run_five_seconds(task: Task) -> None:
    try:
        with locks.exclusive(TASK, lease=30):
            write("begun", task.request.id)
            time.sleep(TASK_SECONDS)
            write("ran", task.request.id)
    except locks.Busy:
        write("refused", task.request.id)
        raise


@shared_task(name=NIGHTLY)
def run_nightly() -> None:
    """Its message is the first in the queue, and expires after an hour."""
    write("nightly", "ran")
