"""How long does a password reset wait behind videos? `make lab N=3`.

The videos sleep, so that the processor does not matter. The resets are jobs of the site, one every half second, and
their waits count from the click to the start. The right arm is the site's own table: its workers for these two queues,
with their queues and their concurrency.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from celery import current_app, shared_task
from django.utils import timezone

from devtools import processes
from devtools.lab import Figure, Lab, Round
from workers import jobs
from workers.models import Job
from workers.queues import table

VIDEO, RESET = "workers.video.tasks.transcode_video", "workers.default.tasks.send_password_reset"

LAB = Lab(
    number=3,
    question="How long does a password reset wait behind videos?",
    shows=(
        "Behind the videos of one queue a reset waits {one queue, one process: median wait}, and with four processes "
        "still {one queue, four processes: median wait}. With the site's table it waits "
        "{the site's table: median wait}."
    ),
    seconds=90,
    figures=(Figure("median wait", "s"), Figure("longest wait", "s")),
    sizes={"videos": 12, "seconds": 1, "resets": 5},
    short={"videos": 12, "seconds": 0.5, "resets": 2},
)


@LAB.wrong("one queue, one process")
def one_process(lab: Round) -> dict[str, float]:
    return measure(lab, video="default", reset="default", workers={"default": 1})


@LAB.wrong("one queue, four processes")
def four_processes(lab: Round) -> dict[str, float]:
    """More processes only postpone it: a fifth video, and everybody waits again."""
    return measure(lab, video="default", reset="default", workers={"default": 4})


@LAB.wrong("two queues, one worker")
def one_worker(lab: Round) -> dict[str, float]:
    """A queue of its own does not help while the same processes serve both."""
    return measure(lab, video="video", reset="urgent", workers={"urgent,video": 1})


@LAB.right("the site's table")
def our_table(lab: Round) -> dict[str, float]:
    video, reset = (table().queue_of(task) for task in (VIDEO, RESET))
    queues = {worker: [queue.name for queue in worker.queues] for worker in table().workers}
    workers = {",".join(names): worker.concurrency for worker, names in queues.items() if {video, reset} & set(names)}
    return measure(lab, video=video, reset=reset, workers=workers)


@shared_task
def watch(seconds: float) -> None:
    """Stands for a video."""
    time.sleep(seconds)


def measure(lab: Round, *, video: str, reset: str, workers: dict[str, int]) -> dict[str, float]:
    """The waits of the resets behind the videos. workers: the processes of each, by the queues that it consumes."""
    with ExitStack() as running:
        for queues, concurrency in workers.items():
            options = f"--queues={queues}", f"--concurrency={concurrency}", f"--include={__name__}"
            running.enter_context(processes.celery("worker", *options, app="config"))
        for _ in range(int(lab.sizes["videos"])):
            watch.apply_async([lab.sizes["seconds"]], queue=video)
        waits = list(waits_of([publish_reset(reset) for _ in range(int(lab.sizes["resets"]))]))
    current_app.control.purge()
    return {"median wait": median(waits), "longest wait": max(waits)}


def publish_reset(queue: str) -> object:
    """Publish a reset of a user that does not exist: it sends no mail."""
    time.sleep(0.5)
    job = Job.objects.create(task=RESET, queue=queue, arguments={"user_id": None}, queued_at=timezone.now())
    jobs.publish(job)
    return job.pk


def waits_of(job_ids: list[object]) -> Iterator[float]:
    """Seconds from the click to the start of each."""
    started = Job.objects.filter(pk__in=job_ids)
    while started.filter(started_at=None).exists():
        time.sleep(0.1)
    for queued_at, started_at in started.values_list("queued_at", "started_at"):
        yield (started_at - queued_at).total_seconds()
