"""What does a progress report for every row cost, and what survives a flush? `python -m labs 6 [reports]` (10 s).

Wrong: progress in the task's metadata by update_state, with a result backend in the database, then in Redis. Right: a
job of the site, whose reports go to the cache a few times a second and whose end is a row. Printed: what a report and a
poll cost in microseconds, SQL statements and Redis commands, and what a poll answers after FLUSHALL, during the work
and after it. It teaches that progress belongs where it may be lost, and the result where it may not.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from workers import jobs
from workers.models import Job
from workers.practices import progress

POLLS = 300
OURS = 200  # times as many reports, because one is too quick to measure
RESULT = {"rows": 1000}


def cost(do: Callable[[int], object], times: int) -> dict[str, float]:
    """The cost of one call: microseconds, SQL statements (without BEGIN and COMMIT), commands to the cache's server."""
    statements = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    before, began = commands(), time.perf_counter()
    with connection.execute_wrapper(count):
        for number in range(times):
            do(number)
    seconds = time.perf_counter() - began
    each = {"microseconds": seconds * 1e6, "sql": statements, "redis": commands() - before - 1}
    return {name: round(total / times, 6) for name, total in each.items()}


def commands() -> int:
    return int(get_redis_connection("default").info("stats")["total_commands_processed"])


def work() -> None:
    """A task that never runs: the lab makes its reports."""


class Metadata:
    """A task whose progress and result are in a result backend."""

    def __init__(self, backend: str) -> None:
        self.app, self.id = Celery("wrong", backend=backend, set_as_current=False), str(uuid4())
        self.task = self.app.task(work)

    def report(self, number: int) -> None:
        self.task.update_state(self.id, "PROGRESS", {"done": number, "total": 0})

    def poll(self, _: int = 0) -> str:
        result = AsyncResult(self.id, app=self.app)
        return f"{result.state} {result.info}"

    def run(self, reports: int) -> dict[str, Any]:
        report, poll = cost(self.report, reports), cost(self.poll, POLLS)
        running = after_flush(self.poll)
        self.app.backend.store_result(self.id, RESULT, "SUCCESS")
        return {"report": report, "poll": poll, "running": running, "done": after_flush(self.poll)}


def run_ours(reports: int) -> dict[str, Any]:
    """As a task does it; the poll is that of a page."""
    job = Job.objects.create(task="labs", queue="video", queued_at=timezone.now())

    def poll(_: int = 0) -> str:
        now = progress.read(job.id)
        state = jobs.running_state(now) if now else jobs.state_of(Job.objects.get(pk=job.pk))
        return f"{state['state']} {state['result'] or state['done']}"

    with jobs.working_on(str(job.id)) as attempt:
        report = cost(lambda number: attempt.report(number, 0, "reading"), reports * OURS)
        costs = {"report": report, "poll": cost(poll, POLLS)}
        running = after_flush(poll)
        attempt.result = RESULT
    return costs | {"running": running, "done": after_flush(poll)}


def after_flush(poll: Callable[[], str]) -> str:
    get_redis_connection("default").flushall()
    return poll()


def main() -> None:
    reports = int(sys.argv[1]) if sys.argv[1:] else 1000
    apps.set_installed_apps([*settings.INSTALLED_APPS, "django_celery_results"])
    call_command("migrate", "django_celery_results", verbosity=0)
    found = {
        "wrong: database": Metadata("django-db").run(reports),
        "wrong: Redis": Metadata(settings.REDIS_URL).run(reports),
        "right: cache and row": run_ours(reports),
    }
    heads = f"{'us':>10}{'SQL':>8}{'Redis':>8}"
    print(f"{'':<22}{'a report':>26}{'a poll':>26}\n{'':<22}{heads}{heads}   after FLUSHALL, at work and done")
    for name, each in found.items():
        figures = "".join(
            f"{one['microseconds']:>10,.1f}{one['sql']:>8.2g}{one['redis']:>8.2g}"
            for one in (each["report"], each["poll"])
        )
        print(f"{name:<22}{figures}   {each['running']}; {each['done']}")
    print(json.dumps(found))
