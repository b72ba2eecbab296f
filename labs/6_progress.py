"""What does it cost to report each row of an import, and what does a flushed cache lose? `make lab N=6`.

Wrong: a task writes its progress into its metadata. Right: a job of the site reports each row, and writes by time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

from celery import Celery
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.lab import Figure, Lab, Round
from workers import jobs
from workers.models import Job
from workers.practices import progress

COSTS, QUICK_COSTS = [(f"commands {rows} rows", f"time {rows} rows") for rows in ("a thousand", "a hundred thousand")]
SQL, LOST = "SQL a poll", "results lost by a flush"
FIGURES = {COSTS[1]: "ms", QUICK_COSTS[1]: "ms", COSTS[0]: "", QUICK_COSTS[0]: "", SQL: "", LOST: ""}


@contextmanager
def result_table(_: object) -> Iterator[None]:
    apps.set_installed_apps([*settings.INSTALLED_APPS, "django_celery_results"])
    call_command("migrate", "django_celery_results", verbosity=0)
    yield


LAB = Lab(
    number=6,
    question="What does it cost to report each row of an import?",
    shows=(
        "A thousand rows report for {metadata in the database: time a thousand rows} into the database, for "
        "{metadata in Redis: time a thousand rows} into Redis, by time {by time, into the cache: time a thousand rows}."
    ),
    seconds=20,
    figures=tuple(Figure(name, unit, digits=int(name == COSTS[1])) for name, unit in FIGURES.items()),
    sizes={"rows": 1000},
    short={"rows": 50},
    setup=result_table,
)


@LAB.wrong("metadata in the database")
def in_database(lab: Round, backend: str = "django-db") -> dict[str, float]:
    app, task_id = Celery("wrong", backend=backend, set_as_current=False), str(uuid4())
    task, result = app.Task(), app.AsyncResult(task_id)  # it never runs: the lab reports in its place

    def report(done: int) -> None:
        task.update_state(task_id, "PROGRESS", {"done": done, "total": lab.sizes["rows"]})

    costs = cost_of(report, lab) | {SQL: count(lambda: result.info)[0]}
    app.backend.store_result(task_id, {"rows": 1000}, "SUCCESS")
    return costs | {LOST: flush(lambda: result.state == "SUCCESS")}


LAB.wrong("metadata in Redis")(partial(in_database, backend=settings.REDIS_URL))


@LAB.beside("every 100 rows, into the cache")
def every_hundred_rows(lab: Round, *, is_quick: bool = False) -> dict[str, float]:
    def report(done: int) -> None:
        if done % 100 == 0:
            cache.set("file_process_task_1", {"done": done, "total": lab.sizes["rows"]}, 3000)

    return cost_of(report, lab, is_quick=is_quick)


@LAB.right("by time, into the cache")
def by_time(lab: Round, *, is_quick: bool = False) -> dict[str, float]:
    job = Job.objects.create(task="labs", queue="video", queued_at=timezone.now())
    with jobs.working_on(str(job.id)) as attempt:
        costs = cost_of(lambda done: attempt.report(done, 0, "reading"), lab, is_quick=is_quick)
        attempt.result = {"rows": 1000}
        if is_quick:
            return costs
        costs[SQL] = count(lambda: progress.read(job.id))[0]
    return costs | {LOST: flush(lambda: Job.objects.get(pk=job.pk).result == {"rows": 1000})}


for arm, run in {"every 100 rows": every_hundred_rows, "by time": by_time}.items():
    LAB.beside(f"{arm}, a quick import")(partial(run, is_quick=True))


def cost_of(report: Callable[[int], None], lab: Round, *, is_quick: bool = False) -> dict[str, float]:
    """Report each row of an import of about a thousand rows a second, or of a hundred times as many without a pause."""
    scale, names, took = (100, QUICK_COSTS, list[float]()) if is_quick else (1, COSTS, list[float]())

    def work() -> None:
        for done in range(int(lab.sizes["rows"]) * scale):
            is_quick or time.sleep(0.001)
            began = time.perf_counter()
            report(done)
            took.append(time.perf_counter() - began)

    costs = sum(count(work)), 1000 * sum(took)
    return {name: 1000 * scale * cost / len(took) for name, cost in zip(names, costs, strict=True)}


def count(do: Callable[[], object]) -> tuple[int, int]:
    """SQL statements (without BEGIN and COMMIT), and commands to the cache's server."""
    stats, sql = partial(get_redis_connection("default").info, "stats"), list[str]()
    before = stats()["total_commands_processed"]
    with connection.execute_wrapper(lambda execute, *rest: (sql.append(rest[0]), execute(*rest))[1]):
        do()
    return len(sql), stats()["total_commands_processed"] - before - 1


def flush(is_known: Callable[[], bool]) -> int:
    """1 if the result is gone with the data of the cache's server."""
    return int(get_redis_connection("default").flushall() and not is_known())
