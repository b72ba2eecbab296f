"""What does it cost to report each row of an import, and what does a flushed cache lose? `make lab N=6`.

Wrong: the task writes its progress into its own metadata, by update_state, in a result backend. Beside: it writes every
hundredth row into the cache, as the article does. Right: a job of the site, which reports each row and writes by time;
its end is a row of the database.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult
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

COMMANDS, TIME, SQL, LOST = "commands a thousand rows", "time a thousand rows", "SQL a poll", "results lost by a flush"


@contextmanager
def result_table(_: Mapping[str, float]) -> Iterator[None]:
    apps.set_installed_apps([*settings.INSTALLED_APPS, "django_celery_results"])
    call_command("migrate", "django_celery_results", verbosity=0)
    yield


LAB = Lab(
    number=6,
    question="What does it cost to report each row of an import?",
    shows=(
        "For a thousand rows, metadata in the database needs {metadata in the database: commands a thousand rows} "
        "statements, and metadata in Redis {metadata in Redis: commands a thousand rows} commands. "
        "Progress by time needs {by time, into the cache: commands a thousand rows}."
    ),
    seconds=30,
    figures=tuple(Figure(name, "ms" if name == TIME else "", digits=0) for name in (COMMANDS, TIME, SQL, LOST)),
    sizes={"rows": 1000},
    short={"rows": 50},
    setup=result_table,
)


def import_rows() -> None:
    """A task that never runs: the lab reports in its place."""


@LAB.wrong("metadata in the database")
def in_database(lab: Round, backend: str = "django-db") -> dict[str, float]:
    app, task_id = Celery("wrong", backend=backend, set_as_current=False), str(uuid4())
    task, result = app.task(import_rows), AsyncResult(task_id, app=app)

    def report(done: int) -> None:
        task.update_state(task_id, "PROGRESS", {"done": done, "total": lab.sizes["rows"]})

    costs = cost_of(report, lab) | {SQL: count(lambda: result.info)[0]}
    app.backend.store_result(task_id, {"rows": 1000}, "SUCCESS")
    return costs | {LOST: flush(lambda: result.state == "SUCCESS")}


LAB.wrong("metadata in Redis")(partial(in_database, backend=settings.REDIS_URL))


@LAB.beside("every 100 rows, into the cache", versus="by time, into the cache")
def every_hundred_rows(lab: Round) -> dict[str, float]:
    def report(done: int) -> None:
        if done % 100 == 0:
            cache.set("file_process_task_1", {"done": done, "total": lab.sizes["rows"]}, 3000)

    return cost_of(report, lab)


@LAB.right("by time, into the cache")
def by_time(lab: Round) -> dict[str, float]:
    job = Job.objects.create(task="labs", queue="video", queued_at=timezone.now())
    with jobs.working_on(str(job.id)) as attempt:
        costs = cost_of(lambda done: attempt.report(done, lab.sizes["rows"], "reading"), lab)
        costs[SQL] = count(lambda: progress.read(job.id))[0]
        attempt.result = {"rows": 1000}
    return costs | {LOST: flush(lambda: Job.objects.get(pk=job.pk).result == {"rows": 1000})}


def cost_of(report: Callable[[int], None], lab: Round) -> dict[str, float]:
    """Report each row of an import of about a thousand rows a second."""
    took, thousands = list[float](), lab.sizes["rows"] / 1000

    def work() -> None:
        for done in range(int(lab.sizes["rows"])):
            time.sleep(0.001)
            began = time.perf_counter()
            report(done)
            took.append(time.perf_counter() - began)

    return {COMMANDS: sum(count(work)) / thousands, TIME: 1000 * sum(took) / thousands}


def count(do: Callable[[], object]) -> tuple[int, int]:
    """SQL statements (without BEGIN and COMMIT), and commands to the cache's server."""
    redis, sql = get_redis_connection("default"), list[str]()
    before = redis.info("stats")["total_commands_processed"]
    with connection.execute_wrapper(lambda execute, *rest: (sql.append(rest[0]), execute(*rest))[1]):
        do()
    return len(sql), redis.info("stats")["total_commands_processed"] - before - 1


def flush(is_known: Callable[[], bool]) -> int:
    """1 if the result is gone once the cache's server has lost its data."""
    get_redis_connection("default").flushall()
    return int(not is_known())
