"""Is a death noticed soon, and no living worker taken for dead? `python -m labs deaths [rounds] [busy processes]`.

Three jobs run for the whole time beside busy processes: nothing may disturb them. In each round another job runs on one
of two workers, and its pool process, its whole worker, or its worker and the leading one of two beats (a host) get
SIGKILL at a random moment. Then come as many flushes of the locks. Printed: the seconds from the kill to the next
attempt, and how many jobs were disturbed without reason. Exit code 1 if one was, or if a pool process took longer than
5 s, or a worker or a host longer than 15 s.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
from django.db.models import Q
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import celery, wait_until, worker
from labs.deaths_task import TASK
from workers import jobs
from workers.models import Job
from workers.practices import locks, progress
from workers.telemetry.held_locks import PREFIX, held_locks

UNDISTURBED, WORKERS, BEATS = 3, 2, 2
MAX_SECONDS = {"process": 5.0, "worker": 15.0, "host": 15.0}
TASKS = {"CELERY_WORKER_INCLUDE": "labs.deaths_task"}
SETTLE_SECONDS = 15  # after a flush: a lease, and a look of the leading beat
PID = re.compile(rb", pid (\d+) ")


def main() -> int:
    given = [int(value) for value in sys.argv[1:]]
    rounds, busy = given + [50, 4][len(given) :]
    seconds: dict[str, list[float]] = {what: [] for what in MAX_SECONDS}
    with ExitStack() as stack:
        for _ in range(busy):
            stack.enter_context(busy_process())
        for _ in range(BEATS):
            stack.enter_context(celery("beat", "--pidfile=", app="config"))
        stack.enter_context(worker("default", **TASKS))
        undisturbed = [start_job("default") for _ in range(UNDISTURBED)]
        for _ in range(WORKERS):
            stack.enter_context(worker("highmem", **TASKS))
        time.sleep(SETTLE_SECONDS)
        for number in range(1, rounds + 1):
            what = list(MAX_SECONDS)[number % len(MAX_SECONDS)]
            seconds[what].append(kill_in_a_job(what))
            print(f"{number}: {what}, {seconds[what][-1]:.1f} s", flush=True)
            if what != "process":
                stack.enter_context(worker("highmem", **TASKS))
            if what == "host":
                stack.enter_context(celery("beat", "--pidfile=", app="config"))
        undisturbed.append(start_job("highmem"))
        for _ in range(rounds):
            time.sleep(random.uniform(0, 5))
            get_redis_connection("locks").flushdb()
        time.sleep(SETTLE_SECONDS)
        disturbed = count_disturbed(undisturbed)
    longest = {what: round(max(each, default=0.0), 1) for what, each in seconds.items()}
    print(json.dumps({"rounds": rounds, "disturbed": disturbed} | longest))
    return int(disturbed > 0 or any(longest[what] > MAX_SECONDS[what] for what in longest))


def kill_in_a_job(what: str) -> float:
    """Returns the seconds to the job's next attempt."""
    job = start_job("highmem")
    time.sleep(random.uniform(0, 3))
    process = holder_of(job)
    killed_at = timezone.now()
    if what == "host":
        os.kill(leading_beat(), signal.SIGKILL)
    if what == "process":
        process.kill()
    else:
        os.killpg(process.ppid(), signal.SIGKILL)
    wait_until(lambda: read(job).attempt == 2, "the next attempt")
    seconds = (read(job).started_at - killed_at).total_seconds()
    jobs.cancel(job)
    wait_until(lambda: read(job).is_final, "its end")
    return seconds


def holder_of(job: Job) -> psutil.Process:
    token = get_redis_connection("locks").get(f"{PREFIX}job:{job.pk}")
    return psutil.Process(int(PID.search(token)[1]))


def leading_beat() -> int:
    """Its pid. Waits until one leads."""
    wait_until(lambda: locks.is_held("beat"), "a leading beat")
    return next(int(lock.holder.split()[-1]) for lock in held_locks() if lock.name == "beat")


def start_job(queue: str) -> Job:
    """A job that runs and reports."""
    job = Job.objects.create(task=TASK, queue=queue, queued_at=timezone.now())
    wait_until(lambda: jobs.publish(job), "the broker")
    wait_until(lambda: progress.read(job.pk), "the job to run")
    return job


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def count_disturbed(undisturbed: list[Job]) -> int:
    still = Q(state=Job.State.RUNNING, attempt=1, crash_count=0)
    return Job.objects.filter(pk__in=[job.pk for job in undisturbed]).exclude(still).count()


@contextmanager
def busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
