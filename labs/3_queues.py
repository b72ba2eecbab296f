"""How long does a password reset wait behind videos? `python -m labs [--rabbitmq] 3 [videos] [seconds of each]` (30 s).

Wrong: one queue for everything, with one process, then with four; and two queues with one worker. Right: a queue and a
worker each, as in the site's table. A video sleeps, so that the processor does not matter. The resets are jobs of the
site, one every half second. Printed: their wait from the click to the start. It teaches that more processes only
postpone the problem.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from celery import current_app, shared_task
from django.utils import timezone

from devtools import processes
from workers import jobs
from workers.models import Job

RESET = "workers.default.tasks.send_password_reset"
RESETS, PAUSE = 5, 0.5  # seconds between two of them

# name: queue of the videos, queue of the resets, and for each worker its queues and its processes
SETUPS = {
    "wrong: one queue, one process": ("default", "default", [("default", 1)]),
    "wrong: one queue, four processes": ("default", "default", [("default", 4)]),
    "wrong: two queues, one worker": ("video", "urgent", [("urgent,video", 1)]),
    "right: a queue and a worker each": ("video", "urgent", [("urgent", 1), ("video", 1)]),
}


@shared_task
def watch(seconds: float) -> None:
    """Stands for a video."""
    time.sleep(seconds)


def waits(videos: int, seconds: float, setup: tuple[str, str, list[tuple[str, int]]]) -> Iterator[float]:
    """The seconds that each reset has waited."""
    long, short, workers = setup
    with ExitStack() as running:
        for queues, concurrency in workers:
            options = f"--queues={queues}", f"--concurrency={concurrency}", f"--include={__name__}"
            running.enter_context(processes.celery("worker", *options, app="config"))
        for _ in range(videos):
            watch.apply_async([seconds], queue=long)
        job_ids = [publish_reset(short) for _ in range(RESETS)]
        while Job.objects.filter(pk__in=job_ids, started_at=None).exists():
            time.sleep(0.1)
    for queued_at, started_at in Job.objects.filter(pk__in=job_ids).values_list("queued_at", "started_at"):
        yield (started_at - queued_at).total_seconds()


def publish_reset(queue: str) -> object:
    """Publish a reset of a user that does not exist: it sends no mail."""
    time.sleep(PAUSE)
    job = Job.objects.create(task=RESET, queue=queue, arguments={"user_id": None}, queued_at=timezone.now())
    jobs.publish(job)
    return job.pk


def main() -> None:
    videos, seconds = (int(sys.argv[1]), float(sys.argv[2])) if sys.argv[2:] else (12, 1.0)
    print(f"{RESETS} resets behind {videos} videos of {seconds:g} s {'':<6}{'median wait':>14}{'longest':>12}")
    found = {}
    for name, setup in SETUPS.items():
        waited = list(waits(videos, seconds, setup))
        print(f"{name:<40}{median(waited):>12.2f} s{max(waited):>10.2f} s", flush=True)
        found[name] = {"median": round(median(waited), 3), "longest": round(max(waited), 3)}
        current_app.control.purge()
    print(json.dumps(found))
