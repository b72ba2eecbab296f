"""How many jobs wait, by which measurement? `python -m labs [--rabbitmq] 8 [jobs] [seconds of each]` (half a minute).

The lab sends jobs to one worker with Celery's default prefetch, and counts the truth from their rows. Wrong: the length
of the queue, without what a worker has prefetched; and inspect(), without what waits, which answers the same for a dead
worker as for an idle one. Right: backlog.py. Printed, with the worker running and after it is killed: each answer
beside the truth, and the time it takes. It teaches to count both ready and unacknowledged messages, and to look at
consumers and at the oldest message: a length alone shows neither.
"""

import json
import sys
import time
from collections.abc import Callable

from celery import current_app, shared_task
from django.db.models import Min
from django.utils import timezone

from devtools import processes
from workers import jobs
from workers.brokers import state
from workers.brokers.connection import count_ready, is_amqp
from workers.brokers.state import read_queue_states
from workers.models import Job
from workers.practices import backlog
from workers.telemetry import rollups
from workers.telemetry.queue_flow import current_flows

# Celery's default prefetch: four messages for each process.
WORKER = ("--hostname=video@%h", "--queues=video", "--concurrency=2", "--prefetch-multiplier=4")
# As in a new project. The worker imports this module before it looks.
current_app.conf.worker_enable_remote_control = True


@shared_task
def work(job_id: str) -> None:
    """A job that sleeps."""
    with jobs.working_on(job_id) as job:
        time.sleep(job.arguments["seconds"])


def send(count: int, seconds: float) -> None:
    fields = {"task": work.name, "queue": "video", "arguments": {"seconds": seconds}}
    for _ in range(count):
        jobs.publish(Job.objects.create(queued_at=timezone.now(), **fields))


def unfinished() -> int:
    return Job.objects.filter(finished_at=None).count()


def oldest() -> float:
    """Seconds that the oldest job without a start has waited."""
    since = Job.objects.filter(started_at=None).aggregate(Min("queued_at"))["queued_at__min"]
    return (timezone.now() - since).total_seconds() if since else 0.0


def ask_inspect() -> int:
    workers = current_app.control.inspect()
    return sum(len(tasks) for answer in (workers.active(), workers.reserved()) for tasks in (answer or {}).values())


def ask_backlog() -> int:
    video = read_queue_states()["video"]
    return (video["ready"] or 0) + (video["unacked"] or 0)


QUESTIONS: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
    "wrong: length of the queue": (lambda: count_ready("video"), unfinished),
    "wrong: inspect()": (ask_inspect, unfinished),
    "right: waiting and taken": (ask_backlog, unfinished),
    "right: the oldest's age": (lambda: round(backlog.oldest_waits().get("video", 0.0), 1), lambda: round(oldest(), 1)),
}


def compare_answers(when: str) -> dict[str, dict[str, float]]:
    """Ask each question. Prints each answer beside the truth of that moment."""
    found = {}
    for question, (ask, know) in QUESTIONS.items():
        began = time.monotonic()
        says, seconds = ask(), time.monotonic() - began
        found[question] = {"says": says, "truth": know(), "seconds": round(seconds, 3)}
        show(when, question, **found[question])
    return found


def show(when: str, question: str, says: object, truth: object, seconds: float) -> None:
    print(f"{when:<9}{question:<30}{says!s:>8}{truth!s:>8}{seconds:>10.3f} s", flush=True)


def time_to_empty() -> dict[str, float]:
    began = time.monotonic()
    rollups.collect_runs()  # as beat does, so that the sample counts what ended
    backlog.sample()
    flow = current_flows()["video"]
    asked = time.monotonic()
    while unfinished():
        time.sleep(0.05)
    found = {"says": round(flow.seconds_to_empty or 0, 1), "truth": round(time.monotonic() - asked, 1)}
    show("at work", "right: seconds to empty", seconds=asked - began, **found)
    return found


def main() -> None:
    count, seconds = (int(sys.argv[1]), float(sys.argv[2])) if sys.argv[2:] else (40, 0.5)
    state.CACHE_SECONDS = 0  # each question asks the broker again
    print(f"{'':<39}{'says':>8}{'truth':>8}{'in':>12}")
    with processes.celery("worker", *WORKER, f"--include={__name__}", app="config"):
        send(count, seconds)
        time.sleep(2 * is_amqp())  # what RabbitMQ's management says is a second old
        backlog.sample()
        while unfinished() > count * 2 // 3:
            time.sleep(0.05)
        at_work, empty = compare_answers("at work"), time_to_empty()
        send(count // 2, seconds)
        time.sleep(seconds)
    killed = compare_answers("killed")
    readers = read_queue_states()["video"]["consumers"]
    show("killed", "right: workers that read it", readers or 0, 0, 0)
    print(json.dumps({"at work": at_work, "to empty": empty, "killed": killed, "readers": readers}))
