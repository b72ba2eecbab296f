"""The tasks of both apps. They write what happens to them into the arm's ledger."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Reject

ENDLESS = {"soft_time_limit": 600, "time_limit": 660}  # the site's limit of ten seconds is not what most of them show


def write(event: str) -> None:
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{event}\n")


@shared_task(name="work", **ENDLESS)
def work(seconds: float = 0, name: str = "") -> None:
    write(f"begun {name}")
    time.sleep(seconds)
    write(f"ended {name}")


@shared_task(name="compute", **ENDLESS)
def compute(seconds: float) -> None:
    """No call of it waits, so that only a signal ends it."""
    write("begun")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    write("ended")


@shared_task(name="exhaust_memory")
def exhaust_memory() -> None:
    write("begun")
    raise MemoryError


@shared_task(name="leave")
def leave() -> None:
    write("begun")
    sys.exit(1)


@shared_task(name="refuse", bind=True)
def refuse(task: Task) -> None:
    """A message that no worker can work on, such as one of a newer release."""
    write("begun")
    raise Reject("not now", requeue=True)


@shared_task(name="kill_itself")
def kill_itself() -> None:
    write("begun")
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="allocate")
def allocate(objects: int) -> None:
    """Keeps one object of a thousand, so that the memory of the others cannot go back to the system."""
    kept: list[Any] = [[number] for number in range(objects)]
    globals()["kept"] = kept[::1000]
    write(f"pid {os.getpid()}")
