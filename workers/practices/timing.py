"""Practice 7: how long every task waits and takes, over time, so that a slow background is noticed before users notice.

The trap: nobody looks until it hurts, and what would tell (events, a row per task) costs more than the tasks. Here
signals only note a run, a thread sends the notes in batches (workers/telemetry/recorder.py), a recurring task makes
rows of them (workers/telemetry/rollups.py), and every task is compared with its own last week.
"""

import math
import time
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from celery import Task, current_app
from celery.signals import (
    before_task_publish,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_process_init,
    worker_process_shutdown,
)
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connection
from django.utils import timezone

from workers.models import TaskRun
from workers.practices import Finding
from workers.queues import table
from workers.telemetry.recorder import Courier, Run

OUTCOMES = {"SUCCESS": "succeeded", "FAILURE": "failed", "RETRY": "retried", "IGNORED": "refused"}
CHAPTER = "See docs/7-timing.md."
STALE = 600  # seconds without any run: the collector alone runs every ten

SURE = math.log(10_000)  # a steady task gives one false alarm in so many hours, at most
SLOWER = 1.5  # times the usual p95,
LEAST = 0.1  # and by so many seconds: nobody notices less
SLOW = """
    WITH usual AS (
        SELECT task, percentile_cont(0.5) WITHIN GROUP (ORDER BY run_p95) AS p95,
            avg((0.05 * runs + 0.95) / (runs + 1))::float AS share
        FROM workers_taskhour
        WHERE hour BETWEEN now() - interval '7 days' AND now() - interval '2 hours' AND runs > 0
        GROUP BY task HAVING count(*) >= 24
    )
    SELECT task, count(*), count(*) FILTER (WHERE run_seconds > usual.p95),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY run_seconds), usual.p95, usual.share
    FROM workers_taskrun JOIN usual USING (task)
    WHERE ended_at > now() - interval '1 hour' AND outcome IN ('succeeded', 'failed')
    GROUP BY task, usual.p95, usual.share ORDER BY task"""

_courier = Courier()  # the main process's is never started: it forks, and must have no thread


@before_task_publish.connect
def stamp(headers: dict[str, Any], **_: object) -> None:
    """Every message says when it was published: a retry is stamped anew, a redelivery keeps its stamp."""
    headers["published_at"] = time.time()


@worker_process_init.connect
def start(**_: object) -> None:
    """Each process of the pool has a courier of its own."""
    global _courier
    _courier = Courier()
    _courier.start()


@task_prerun.connect
def begin(task: Task, **_: object) -> None:
    """The run starts, in the pool's process. Not counted in any other one, such as a test that calls the task."""
    if _courier.is_alive():
        request, now = task.request, time.time()
        limit = (request.timelimit or [None])[0] or task.time_limit
        told = _told(task, request) | {"wait_seconds": _wait(request, now)}
        _courier.take_up(Run(f"{request.id} {now}", told, limit or math.inf))


@task_postrun.connect
def end(state: str | None, retval: Any, **_: object) -> None:
    """The run ends, in the same process; without a state if its process is told to stop."""
    if run := _courier.run_now:
        rejected = "retried" if getattr(retval, "requeue", False) else "failed"
        outcome = rejected if state == "REJECTED" else OUTCOMES.get(state or "", "")
        _courier.hand_in(run.note(outcome))


def ended_as(outcome: str) -> None:
    """Says how the run of this process ends, where Celery sees something else: a job's error ends in its row."""
    if run := _courier.run_now:
        run.outcome = outcome


@task_revoked.connect
def revoke(sender: Task, request: Any, terminated: bool, expired: bool, **_: object) -> None:
    """A message is dropped instead of run, in the main process. RabbitMQ drops expired ones itself: no signal."""
    if not terminated:
        ended = {"outcome": "expired" if expired else "cancelled", "ended_at": time.time()}
        _courier.hand_in(_told(sender, request) | ended)
        _courier.send()


@worker_process_shutdown.connect
def stop(**_: object) -> None:
    """The pool's process ends: recycled, or its worker stops."""
    if _courier.is_alive():
        _courier.leave()


def _told(task: Task, request: Any) -> dict[str, Any]:
    # On RabbitMQ a message that waited for its ETA comes back as "0.0.[...].1.default"
    # (docs/facts/servers.md#eta-on-quorum).
    queue = (request.delivery_info or {}).get("routing_key", "").rpartition(".")[2]
    return {"task": task.name, "queue": queue, "worker": request.hostname or "", "release": settings.RELEASE}


def _wait(request: Any, now: float) -> float | None:
    """Seconds from its publication, or from its ETA where it has one; None for a message without our stamp."""
    published: float | None = getattr(request, "published_at", None)
    if published is None:
        return None
    due = datetime.fromisoformat(request.eta).timestamp() if request.eta else 0.0
    return max(0.0, now - max(published, due))


def check() -> list[CheckMessage]:
    """E701: a task that may run for ever, so never ends in the figures. E702: nobody collects or rolls up the runs.

    E703: limits in the wrong order. Celery starts the clock of the hard limit when the soft one has gone off
    (docs/facts/celery.md#hard-limit).
    """
    for module in table().task_modules:
        import_module(module)
    messages: list[CheckMessage] = []
    for name, task in sorted(current_app.tasks.items()):
        soft, hard = task.soft_time_limit, task.time_limit  # its own, or the app's
        if not name.startswith("workers."):
            continue
        if not hard:
            hint = f"Set task_time_limit in config/celery.py, or write @shared_task(time_limit=...). {CHAPTER}"
            messages.append(Error(f"{name} has no hard time limit.", hint=hint, id="practices.E701"))
        elif soft and soft >= hard:
            hint = f"Write @shared_task(soft_time_limit=..., time_limit={hard}) with a soft one below it. {CHAPTER}"
            messages.append(
                Error(f"The soft limit of {name} is not below its hard one.", hint=hint, id="practices.E703")
            )
    scheduled = {entry["task"] for entry in current_app.conf.beat_schedule.values()}
    for name in {"workers.default.tasks.collect_runs", "workers.default.tasks.roll_up_runs"} - scheduled:
        hint = (
            f"Write every(timedelta(...), {name!r}) into config/schedule.py: else the stream fills, the pages stand."
            f" {CHAPTER}"
        )
        messages.append(Error(f"The schedule does not send {name}.", hint=hint, id="practices.E702"))
    return messages


def verify() -> Finding:
    """Holds while no task is clearly slower in the last hour than in its own last week.

    Slower: its p95 is half as much again above its usual one (the median of its hourly p95s in the last week), and so
    many of its runs lie above the usual p95 as chance would put there less than once in 10,000 hours, whatever the
    shape of the distribution (Chernoff's bound). A task with less than 24 hours of history is not judged, so that a
    young site holds; it is unknown where no run is collected at all.
    On steady data `python -m labs 7` counts no false alarm in 176,000 hours, where the first rule alone gives
    one in up to 43 of 100 hours. What it does not find, stands in the same table: a task with few runs an hour.
    """
    newest = TaskRun.objects.order_by("-ended_at").values_list("ended_at")
    try:
        last = newest.first()
        with connection.cursor() as cursor:
            cursor.execute(SLOW)
            tasks = cursor.fetchall()
        lately = 0 if tasks else newest.filter(ended_at__gt=timezone.now() - timedelta(hours=1)).count()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    if last is None or timezone.now() - last[0] > timedelta(seconds=STALE):
        return Finding(None, "unknown", "No run was collected in the last minutes. Are beat and the default worker up?")
    if not tasks:
        return Finding(True, f"too young to compare: {lately} runs in the last hour, no task with a day of history")
    slow = [
        f"{task} (p95 {p95:.1f} s, usually {usual:.1f} s)"
        for task, runs, above, p95, usual, share in tasks
        if is_slower(p95, usual, runs=runs, above=above, share=share)
    ]
    figure = f"{len(tasks)} tasks compared with their last week, {len(slow)} slower"
    return Finding(not slow, figure, f"Slower: {', '.join(slow)}." if slow else "")


def is_slower(p95: float, usual: float, *, runs: int, above: int, share: float) -> bool:
    """p95, usual: seconds. `above` of the `runs` took longer than usual, where a `share` of them is expected to."""
    seen = above / runs
    if p95 < max(SLOWER * usual, usual + LEAST) or seen <= share:
        return False
    surprise = seen * math.log(seen / share) + ((1 - seen) * math.log((1 - seen) / (1 - share)) if seen < 1 else 0)
    return runs * surprise > SURE
