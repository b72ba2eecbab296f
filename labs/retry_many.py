"""Is each of many failed jobs retried once, though the worker dies? `python -m labs retry_many [jobs] [kills]`.

The site selects all of them, and a worker retries them in one change. At random moments of it the worker gets SIGKILL.
Meanwhile users reset their passwords, and their waits in `urgent` are measured, before and during the change. Then a
task that does nothing runs each retried job. Exit code 1: a job was not retried or dispatched and attempted exactly
once, an owner had two messages at once, or the p95 of the waits grew by more than 50 ms.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from statistics import quantiles

from django.conf import settings
from django.db.models import Count
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devtools.processes import celery, wait_until, worker
from mediaapp.models import User
from workers import jobs
from workers.models import Job, JobAttempt, SelectedJob

TASK, QUEUE, OWNERS, RESETS = "labs.retry_task.do_nothing", "video", 50, 60
MAIL = "workers.default.tasks.send_password_reset"
MAX_MORE_MS = 50
LEASE = "3"
INCLUDE = {"CELERY_WORKER_INCLUDE": "labs.retry_task", "JOB_LEASE": LEASE}


def main() -> int:
    count, kills = [int(value) for value in sys.argv[1:]] + [10_000, 3][len(sys.argv) - 1 :]
    settings.JOB_LEASE = int(LEASE)
    create_failed(count)
    staff = User.objects.create_user("staff", "staff@example.com", is_staff=True)
    with ExitStack() as stack:
        stack.enter_context(celery("beat", "--pidfile=", app="config", JOB_LEASE=LEASE))
        stack.enter_context(worker("default", **INCLUDE))
        measure_waits(10)
        idle = measure_waits(RESETS)
        action = confirm(staff)
        selected = SelectedJob.objects.count()
        killed, waits = kill_in_the_middle(action, count, kills)
        stack.enter_context(worker("highmem", **INCLUDE))
        while not read(action).is_final:
            waits += measure_waits(5)
        waits += measure_waits(max(0, RESETS - len(waits)))
        changed = read(action).result.get("changed")
        once = Job.objects.filter(task=TASK, state=Job.State.QUEUED, attempt=0, dispatch_number=1).count()
        print(f"{changed} of {selected} retried, {once} of them once, after {killed} kills", flush=True)
        most_messages = largest_turn()
        stack.enter_context(worker("video", **INCLUDE))
        wait_until(
            lambda: not Job.objects.filter(task=TASK).exclude(state=Job.State.DONE).exists(), "all", seconds=3600
        )
    attempts = Counter(Job.objects.filter(task=TASK).annotate(runs=Count("attempts")).values_list("attempt", "runs"))
    lost = JobAttempt.objects.filter(job=action, outcome=JobAttempt.Outcome.LOST).count()
    figures = {"jobs": count, "kills": killed, "lost": lost, "changed": changed, "once": once}
    figures |= {"ran_once": attempts[1, 1], "messages": most_messages, "idle_ms": p95(idle), "wait_ms": p95(waits)}
    print(json.dumps(figures))
    is_exact = changed == once == attempts[1, 1] == count and most_messages <= 1 and killed == lost == kills
    return int(not is_exact or figures["wait_ms"] > figures["idle_ms"] + MAX_MORE_MS)


def create_failed(count: int) -> None:
    ago = timezone.now() - timedelta(hours=1)
    owners = User.objects.bulk_create(User(username=f"o{n}", email=f"o{n}@example.com") for n in range(OWNERS))
    failed = {"task": TASK, "queue": QUEUE, "state": Job.State.FAILED, "queued_at": ago, "finished_at": ago}
    Job.objects.bulk_create(Job(owner=owners[n % OWNERS], error="ValueError: x", **failed) for n in range(count))


def confirm(staff: User) -> Job:
    """As the button does."""
    browser = Client(headers={"host": "localhost"})
    browser.force_login(staff)
    form = {"change": "retry", "all": "yes", "q": f"state:failed queue:{QUEUE}"}
    began = time.monotonic()
    page = browser.post(reverse("change_jobs"), form).url
    print(f"selected in {time.monotonic() - began:.2f} s", flush=True)
    return Job.objects.get(pk=page.split("/")[-2])


def kill_in_the_middle(action: Job, count: int, kills: int) -> tuple[int, list[float]]:
    """How many workers were killed while they had the action, and the waits meanwhile."""
    killed, waits = 0, []
    while killed < kills and not read(action).is_final:
        left = SelectedJob.objects.count()
        enough = random.randint(1, max(1, count // (kills + 2)))
        with worker("highmem", **INCLUDE) as process:

            def is_in_the_middle(left: int = left, enough: int = enough) -> bool:
                return SelectedJob.objects.count() <= left - enough or read(action).is_final

            wait_until(is_in_the_middle, "the middle", interval=0.001)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        killed += read(action).state == Job.State.RUNNING
        waits += measure_waits(5)
    return killed, waits


def measure_waits(resets: int) -> list[float]:
    """Seconds that password resets wait from the click to their start. Nobody gets a mail."""
    made = []
    for _ in range(resets):
        made.append(jobs.create(MAIL, owner_id=None, arguments={"user_id": None}).pk)
        time.sleep(0.05)
    ended = Job.objects.filter(pk__in=made, state=Job.State.DONE)
    wait_until(lambda: ended.count() == resets, "the resets")
    times = ended.values_list("queued_at", "started_at")
    return [(started - queued).total_seconds() for queued, started in times if started]


def largest_turn() -> int:
    """The most messages that one owner has in the queue at once."""
    waiting = Job.objects.filter(queue=QUEUE, state=Job.State.QUEUED, dispatched_at__isnull=False)
    return max(Counter(waiting.values_list("owner", flat=True)).values(), default=0)


def p95(seconds: list[float]) -> float:
    return round(1000 * quantiles(seconds, n=20)[-1], 1)


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)
