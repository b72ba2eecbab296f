"""The tasks of both apps. They write what happens to them into the project's ledger."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Reject
from redis import Redis

ENDLESS = {"soft_time_limit": 600, "time_limit": 660}  # the site's limit of ten seconds is not what most of them show


def write(event: str) -> None:
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{event}\n")


@shared_task(name="work", **ENDLESS)
def work(seconds: float = 0, name: str = "") -> None:
    write(f"begun {name}")
    time.sleep(seconds)
    write(f"ended {name}")


@shared_task(name="name_only")
def name_only(name: str) -> None:
    write(f"named {len(name)}")


@shared_task(name="hold_lock", **ENDLESS)
def hold_lock(seconds: float) -> None:
    """As a tutorial has it, with a timeout."""
    lock = Redis.from_url(os.environ["LOCKS_URL"]).lock("the lab's", timeout=30, blocking=False)
    if not lock.acquire():
        write("busy")
        return
    write("begun")
    time.sleep(seconds)
    lock.release()


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
