"""The site's Celery app with one entry, every 2 s, whose task takes 5: `--app labs.expiring`, for labs/5_expires.py.

It writes down what really happens, so that what our telemetry counts can be compared with it.
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

NAME, TASK, NIGHTLY = "every 2 seconds", "labs.expiring.take_five", "labs.expiring.come_first"
GAP, LENGTH = 2, 5  # seconds
WAY = os.environ.get("WAY", "")

table().routes[TASK] = table().routes[NIGHTLY] = {"queue": "default"}
entry = every(timedelta(seconds=GAP), TASK)
if WAY == "never":
    del entry["options"]["expires"], entry["options"]["expire_seconds"]
if WAY in ("never", "expires"):
    pending_guard.try_mark_pending = lambda _: True
app.conf.update(imports=("labs.expiring",), beat_schedule={NAME: entry}, leader_callbacks={})


def write(what: str, run: str) -> None:
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{what} {run}\n")


@after_task_publish.connect
def note_sent(sender: str, headers: dict[str, Any], **_: object) -> None:
    """In beat."""
    write("sent", headers["id"])


@shared_task(name=TASK, bind=True)
def take_five(task: Task) -> None:
    try:
        with locks.exclusive(TASK, lease=30):
            write("begun", task.request.id)
            time.sleep(LENGTH)
            write("ran", task.request.id)
    except locks.Busy:
        write("refused", task.request.id)
        raise


@shared_task(name=NIGHTLY)
def come_first() -> None:
    """What lies before the others in the queue, and is worth running for an hour."""
    write("nightly", "ran")
