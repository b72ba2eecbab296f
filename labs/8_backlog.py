"""How many jobs wait for a worker? `make lab N=8`.

One worker has Celery's default prefetch, and its jobs do not end, so that each arm sees the same moment. The truth is
counted from the rows of the jobs. Then the worker is frozen, as a hung machine is, and each arm looks again. Beside
them, two queues get the same number of jobs, and one of them has one process more.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from socket import gethostname

import redis
from celery import current_app
from django.conf import settings

from devtools.lab import Figure, Lab, Round
from labs import backlog_jobs
from workers.brokers import state
from workers.brokers.connection import count_ready, is_amqp
from workers.brokers.state import read_queue_states
from workers.models import Job, QueueSample
from workers.telemetry import rollups
from workers.telemetry.queue_flow import current_flows
from workers.telemetry.queue_samples import store_samples

state.CACHE_SECONDS = 0  # each look asks the broker anew

LAB = Lab(
    number=8,
    question="How many jobs wait for a worker?",
    shows=(
        "The length of the queue leaves out {length of the queue: jobs not seen}, and inspect() {inspect(): jobs not "
        "seen}. Waiting and taken messages leave out {waiting and taken: jobs not seen}, beside a frozen worker too."
    ),
    seconds=40,
    figures=(
        Figure("jobs not seen", "%", digits=0),
        Figure("worker frozen", "%", digits=0),
        Figure("messages", "", digits=0),
        Figure("oldest waits", "s"),
        Figure("says empty in", "s"),
        Figure("is empty in", "s"),
    ),
    sizes={"jobs": 26, "more": 12, "seconds": 0.5},
    short={"more": 6, "seconds": 0.2},
    setup=backlog_jobs.running_workers,
)


@LAB.wrong("length of the queue")
def count_length(lab: Round) -> dict[str, float]:
    return ask(lab, partial(count_ready, "video") if is_amqp() else count_on_redis)


def count_on_redis() -> int:
    with redis.Redis.from_url(settings.BROKER_URL) as broker:
        return int(broker.llen("video"))  # in a new project: broker.llen("celery")


@LAB.wrong("inspect()")
def count_inspected(lab: Round) -> dict[str, float]:
    return ask(lab, inspect)


def inspect() -> int:
    """What runs and what is prefetched, as the worker says."""
    workers = current_app.control.inspect([f"video@{gethostname()}"])
    answers = workers.active(), workers.reserved()
    return sum(len(tasks) for answer in answers for tasks in (answer or {}).values())


@LAB.right("waiting and taken")
def count_both(lab: Round) -> dict[str, float]:
    return ask(lab, add)


def add(queue: str = "video") -> int:
    return sum(read_queue_states()[queue][part] or 0 for part in ("ready", "unacked"))


def ask(lab: Round, count: Callable[[], int]) -> dict[str, float]:
    """Of the jobs that have not ended, how many are not counted."""
    unfinished = Job.objects.filter(queue="video", finished_at=None).count()
    at_work = count()
    os.killpg(lab.shared.pid, signal.SIGSTOP)
    try:
        frozen = count()
    finally:
        os.killpg(lab.shared.pid, signal.SIGCONT)
    return {"jobs not seen": 100 * abs(1 - at_work / unfinished), "worker frozen": 100 * abs(1 - frozen / unfinished)}


@LAB.beside("one process")
def one_process(lab: Round) -> dict[str, float]:
    return empty(lab, "highmem")


@LAB.beside("one process more")
def one_more(lab: Round) -> dict[str, float]:
    return empty(lab, "imports")


def empty(lab: Round, queue: str) -> dict[str, float]:
    """Its count, and the highest age of its oldest job. At half time: when it says that it is empty, and when it is."""
    QueueSample.objects.all().delete()
    backlog_jobs.publish(queue, int(lab.sizes["more"]), lab.sizes["seconds"])
    found = {} if is_amqp() else {"messages": add(queue)}
    store_samples({})
    oldest = [backlog_jobs.wait_for(queue, lab.sizes["more"] / 2)]
    rollups.collect_runs()  # as beat does, so that the sample counts what ended
    store_samples({})
    flow, asked = current_flows().get(queue), time.monotonic()
    oldest.append(backlog_jobs.wait_for(queue, 0))
    found["oldest waits"] = max(oldest)
    if not is_amqp():  # whose counts are a second old, and this queue lives for few
        found |= {"says empty in": flow.seconds_to_empty, "is empty in": time.monotonic() - asked}
    return found
