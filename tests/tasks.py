"""Tasks that only the tests have: a worker reads them with CELERY_WORKER_INCLUDE=tests.tasks in its environment."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from celery import Task, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django_redis import get_redis_connection

from workers.telemetry import recorder
from workers.telemetry.recorder import HEARTBEATS

recorder.LAST_SECONDS = int(os.environ.get("LAST_SECONDS", recorder.LAST_SECONDS))
recorder.CLOSE_SECONDS = int(os.environ.get("CLOSE_SECONDS", recorder.CLOSE_SECONDS))


@shared_task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@shared_task
def touch(path: str) -> None:
    Path(path).touch()


@shared_task(soft_time_limit=600, time_limit=660)  # until the test lets it end
def wait_for(begun: str, go: str) -> None:
    """Makes the file `begun`, waits for the file `go`, and makes `begun`.over at its end."""
    Path(begun).touch()
    while not Path(go).exists():
        time.sleep(0.05)
    Path(f"{begun}.over").touch()


@shared_task
def fail() -> None:
    raise ValueError


@shared_task
def refuse() -> None:
    raise Ignore


@shared_task(bind=True)
def requeue_once(task: Task) -> None:
    if not task.request.delivery_info["redelivered"]:
        raise Reject("stopping", requeue=True)


@shared_task(bind=True, max_retries=1)
def retry_once(task: Task) -> None:
    if not task.request.retries:
        raise task.retry(countdown=10)


@shared_task(bind=True, soft_time_limit=50, time_limit=60)  # not the limit kills it
def be_killed_once(task: Task) -> None:
    """Its process is killed after the first heartbeat of its run, unless this is the second delivery."""
    if not task.request.delivery_info["redelivered"]:
        while not any(
            key.startswith(task.request.id.encode()) for key in get_redis_connection("locks").hkeys(HEARTBEATS)
        ):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)


@shared_task(soft_time_limit=5, time_limit=10)
def exceed_hard_limit() -> None:
    with suppress(SoftTimeLimitExceeded):
        time.sleep(30)
    time.sleep(30)


@shared_task
def hold(megabytes: int, *, in_child: bool = False) -> None:
    """Fills so much memory for a second, itself or in a program that it starts."""
    if in_child:
        program = f"import time; block = bytearray(b'x') * ({megabytes} << 20); time.sleep(1)"
        subprocess.run([sys.executable, "-c", program], check=True)
    else:
        block = bytearray(b"x") * (megabytes << 20)
        del block
