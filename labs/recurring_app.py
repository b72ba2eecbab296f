"""The site's Celery app with one entry, every 2 s, sent in three ways: `--app labs.recurring_app`.

Beat and the tasks write a ledger of what happens, with the moment of each event.
"""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery import Task, shared_task
from celery.signals import after_task_publish

from config.celery import app
from labs.recurring_names import INTERVAL_SECONDS, NAME, NIGHTLY, OCCUPY, TASK
from workers.practices import locks
from workers.queues import table
from workers.runtime import pending_guard
from workers.schedule import every

INTERVAL = timedelta(seconds=INTERVAL_SECONDS)
WAY, TASK_SECONDS = os.environ.get("WAY", "waits"), float(os.environ.get("TASK_SECONDS", "5"))

for task in (TASK, NIGHTLY, OCCUPY):
    table().routes[task] = {"queue": "default"}

ENTRIES: dict[str, dict[str, Any]] = {
    # django-celery-beat drops "expires" without a word: no message of this entry ever expires.
    "never": {
        "task": TASK,
        "schedule": INTERVAL,
        "options": {"queue": "default", "expires": 1},
    },
    # The field that django-celery-beat copies: each message expires.
    "expires": {
        "task": TASK,
        "schedule": INTERVAL,
        "options": {"queue": "default", "expire_seconds": 1},
    },
    "waits": every(INTERVAL, TASK),
}
mark_pending = pending_guard.try_mark_pending


def try_mark_pending(entry: Any) -> bool:
    """Beat asks it whether it may send an entry that is due."""
    may_send = WAY != "waits" or mark_pending(entry)
    if not may_send:
        write("skipped", "entry")
    return may_send


pending_guard.try_mark_pending = try_mark_pending
app.conf.update(imports=("labs.recurring_app",), beat_schedule={NAME: ENTRIES[WAY]}, leader_callbacks={})


def write(event: str, run: str) -> None:
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{event} {run} {time.time()}\n")


@after_task_publish.connect
def write_sent(sender: str, headers: dict[str, Any], **_: object) -> None:
    """Beat calls it for each message."""
    write("sent", headers["id"])


@shared_task(name=TASK, bind=True)
def run(task: Task) -> None:
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
    """Its message is before those of the entry in the queue, and lives longer."""
    write("nightly", "ran")


@shared_task(name=OCCUPY, soft_time_limit=600, time_limit=660)
def occupy(until: str) -> None:
    """Occupies the worker until the file `until` is there."""
    write("occupied", "worker")
    while not Path(until).exists():
        time.sleep(0.05)
