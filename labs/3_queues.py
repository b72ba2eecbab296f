"""How long does a password reset wait behind other work? `make lab N=3`.

The other work sleeps, so that the processor does not matter: long tasks, which stand for videos, or hundreds of short
ones. The resets are jobs of the site, and their waits count from the click to the start. The arms of the site's table
run its workers, with their queues and their concurrency, and its real housekeeping beside the resets.
"""

import os
import time
from contextlib import ExitStack
from statistics import median
from uuid import uuid4

from celery import current_app, shared_task
from django.utils import timezone

from devtools import processes
from devtools.lab import Figure, Lab, Round
from workers import jobs
from workers.models import Job
from workers.queues import table

VIDEO, SHORT = "workers.video.tasks.transcode_video", "workers.highmem.tasks.delete_files"
RESET, SWEEP = "workers.default.tasks.send_password_reset", "workers.default.tasks.sweep_jobs"
SITE, HANGS = "the site's table", "the site's table, its housekeeping hangs"

LAB = Lab(
    number=3,
    question="How long does a password reset wait behind other work?",
    shows=(
        "In one queue a reset waits {one queue, videos before it: median wait} behind videos, and "
        "{one queue, hundreds of short tasks before it: median wait} behind short tasks. With four processes and four "
        "times the videos it waits {one queue, four processes, four times the videos: median wait}. With the site's "
        f"table it waits {{{SITE}: median wait}}, and {{{HANGS}: longest wait}} at most while all of its worker hangs."
    ),
    seconds=100,
    figures=(Figure("median wait", "s"), Figure("longest wait", "s")),
    sizes={"videos": 4, "seconds": 1, "short_tasks": 200, "resets": 3, "hang": 60},
    short={"videos": 2, "short_tasks": 150, "resets": 2, "hang": 2},
    at_least=2,
)


@shared_task
def work(seconds: float, run: str) -> None:
    """Stands for a video or a short task. One of another run is delivered again, because its worker was killed."""
    if run == os.environ["LAB_RUN"]:
        time.sleep(seconds)


@LAB.wrong("one queue, videos before it")
def behind_videos(lab: Round) -> dict[str, float]:
    return measure(lab, {"default": 1}, videos(lab, "default"), reset="default")


@LAB.wrong("one queue, hundreds of short tasks before it")
def behind_short_tasks(lab: Round) -> dict[str, float]:
    return measure(lab, {"default": 1}, short_tasks(lab, "default"), reset="default")


@LAB.wrong("one queue, four processes, four times the videos")
def four_processes(lab: Round) -> dict[str, float]:
    return measure(lab, {"default": 4}, 4 * videos(lab, "default"), reset="default")


@LAB.wrong("two queues, one process for both")
def one_process(lab: Round) -> dict[str, float]:
    return measure(lab, {"urgent,video": 1}, videos(lab, "video"), reset="urgent")


@LAB.right(SITE)
def our_table(lab: Round) -> dict[str, float]:
    """All of it at once, and housekeeping on the worker of the resets."""
    video, short, reset, sweep = map(table().queue_of, (VIDEO, SHORT, RESET, SWEEP))
    for _ in range(20):
        current_app.send_task(SWEEP, queue=sweep)
    return measure(lab, workers_of(video, short, reset), videos(lab, video) + short_tasks(lab, short), reset)


@LAB.beside(HANGS, in_chart=False)
def hanging(lab: Round) -> dict[str, float]:
    """As many tasks hang as the worker has processes, until their time limit ends them."""
    reset, sweep = table().queue_of(RESET), table().queue_of(SWEEP)
    workers = workers_of(reset)
    return measure(lab, workers, [(sweep, lab.sizes["hang"])] * sum(workers.values()), reset)


def videos(lab: Round, queue: str) -> list[tuple[str, float]]:
    """What measure publishes before the resets: queues and seconds."""
    return [(queue, lab.sizes["seconds"])] * int(lab.sizes["videos"])


def short_tasks(lab: Round, queue: str) -> list[tuple[str, float]]:
    return [(queue, 0.01)] * int(lab.sizes["short_tasks"])


def workers_of(*queues: str) -> dict[str, int]:
    """The processes of the site's workers that consume these queues, by all queues of each."""
    by_names = {tuple(queue.name for queue in worker.queues): worker for worker in table().workers}
    return {",".join(names): worker.concurrency for names, worker in by_names.items() if set(names) & set(queues)}


def measure(lab: Round, workers: dict[str, int], before: list[tuple[str, float]], reset: str) -> dict[str, float]:
    run = uuid4().hex
    with ExitStack() as running:
        for queues, concurrency in workers.items():
            options = f"--queues={queues}", f"--concurrency={concurrency}", f"--include={__name__}"
            running.enter_context(processes.celery("worker", *options, app="config", LAB_RUN=run))
        for queue, seconds in before:
            work.apply_async([seconds, run], queue=queue)
        for _ in range(int(lab.sizes["resets"])):
            time.sleep(0.3)
            given = {"user_id": None, "run": run}  # nobody's: it sends no mail
            jobs.publish(Job.objects.create(task=RESET, queue=reset, arguments=given, queued_at=timezone.now()))
        resets = Job.objects.filter(arguments__run=run)
        processes.wait_until(lambda: not resets.filter(started_at=None).exists(), "the resets", interval=0.1)
    current_app.control.purge()
    waits = [(job.started_at - job.queued_at).total_seconds() for job in resets if job.started_at]
    return {"median wait": median(waits), "longest wait": max(waits)}
