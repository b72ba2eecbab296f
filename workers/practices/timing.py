"""Practice 7: how long every task waits and runs, so that a slow background is noticed before users notice.

The trap: monitors that write a row or an event per task cost more than the tasks. So signals time each run, and a
thread sends the records in batches (workers/telemetry/recorder.py).
"""

import math
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from celery import Task
from celery.signals import (
    before_task_publish,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_process_init,
    worker_process_shutdown,
)
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.template.defaultfilters import pluralize
from django.utils import timezone

from workers.practices import Finding
from workers.queues import load_tasks, table
from workers.schedule import scheduled_tasks
from workers.telemetry import pauses, slowdown
from workers.telemetry.metadata import error_metadata, run_metadata, wait_seconds
from workers.telemetry.recorder import Run, RunRecorder, run_finished, run_started

OUTCOMES = {"SUCCESS": "succeeded", "FAILURE": "failed", "RETRY": "retried", "IGNORED": "refused"}
MAX_SILENCE = timedelta(minutes=10)  # without any collected run; the collector itself runs every ten seconds

_recorder = RunRecorder()  # the main process's: never opened, because a process that forks must have no thread


@before_task_publish.connect
def add_published_at(headers: dict[str, Any], **_: object) -> None:
    """A retry is a new publish; a redelivery keeps its time."""
    headers["published_at"] = time.time()


@worker_process_init.connect
def open_recorder(**_: object) -> None:
    global _recorder
    _recorder = RunRecorder()
    _recorder.open()


@task_prerun.connect
def record_start(task: Task, **_: object) -> None:
    """Records nothing outside a process of the pool."""
    if _recorder.is_open:
        request, now = task.request, time.time()
        limit = (request.timelimit or [None])[0] or task.time_limit
        own = {"pid": os.getpid(), "wait_seconds": wait_seconds(request, now)}
        run = Run(f"{request.id} {now}", run_metadata(task, request) | own, limit or math.inf)
        _recorder.start(run)
        run_started.send(Run, run=run, request=request)


@task_postrun.connect
def record_end(state: str | None, retval: Any, **_: object) -> None:
    """`state` is None if the process is told to stop."""
    if run := _recorder.current:
        rejected = "retried" if getattr(retval, "requeue", False) else "failed"
        outcome = rejected if state == "REJECTED" else OUTCOMES.get(state or "", "")
        record = run.record(outcome) | (error_metadata(retval) if state == "FAILURE" else {})
        _recorder.finish(record)
        run_finished.send(Run, run=run, record=record, error=retval if isinstance(retval, Exception) else None)


def set_outcome(outcome: str, error: BaseException | None = None) -> None:
    """Overrides the outcome that Celery reports for the current run. error: why, if it is a failure."""
    if run := _recorder.current:
        run.outcome, run.error = outcome, error


def set_attempt(number: int, waited_seconds: float) -> None:
    """Of the job that the current run works on. Its wait began when it was queued; its message may be much younger."""
    if run := _recorder.current:
        run.attempt = number
        run.metadata["wait_seconds"] = max(0.0, waited_seconds)


@task_revoked.connect
def record_revoked(sender: Task, request: Any, terminated: bool, expired: bool, **_: object) -> None:
    """RabbitMQ drops expired messages without this signal (docs/facts/servers.md#expired-without-signal)."""
    if not terminated:
        outcome = {"outcome": "expired" if expired else "cancelled", "ended_at": time.time()}
        _recorder.finish(run_metadata(sender, request) | outcome)
        _recorder.send()


@worker_process_shutdown.connect
def close_recorder(**_: object) -> None:
    if _recorder.is_open:
        _recorder.close()


def check() -> list[CheckMessage]:
    """E703: a soft limit must be below the hard one, whose clock starts after it (docs/facts/celery.md#hard-limit)."""
    return [*_check_limits(), *_check_schedule()]


def _check_limits() -> Iterator[CheckMessage]:
    for name, task in sorted(load_tasks().items()):
        soft, hard = task.soft_time_limit, task.time_limit  # its own, or the app's
        if not hard:
            hint = "Set task_time_limit in config/celery.py, or write @shared_task(time_limit=...)."
            yield Error(f"{name} has no hard time limit.", hint=hint, id="practices.E701")
        elif soft and soft >= hard:
            hint = f"Write @shared_task(soft_time_limit=..., time_limit={hard}) with a soft one below it."
            yield Error(f"The soft limit of {name} is not below its hard one.", hint=hint, id="practices.E703")


def _check_schedule() -> Iterator[CheckMessage]:
    for name in sorted(set(table().telemetry_tasks) - scheduled_tasks()):
        hint = f"Write every(timedelta(...), {name!r}) into config/schedule.py. Else no run is collected."
        yield Error(f"The schedule does not send {name}.", hint=hint, id="practices.E702")


def verify() -> Finding:
    """ok while no task is slower than in its last week, or the site is too young to compare."""
    try:
        last = slowdown.last_run_at()
        speeds = slowdown.compare_with_last_week()
        recent = 0 if speeds else slowdown.count_runs_of_last_hour()
        paused = pauses.paused_queues()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    if last is None or timezone.now() - last > MAX_SILENCE:
        queues = {table().queue_of(task) for task in table().telemetry_tasks if task in table().routes}
        if queues & paused.keys():
            summary = pauses.with_pauses("not measured", [paused[queue] for queue in sorted(queues & paused.keys())])
            return Finding(True, summary)
        workers = {table().consumers[queue] for queue in queues}
        question = f"Are beat and the {' and '.join(sorted(workers))} worker up?"
        silence = f"No run was collected in the last {MAX_SILENCE.seconds // 60} minutes."
        return Finding(None, "unknown", f"{silence} {question}")
    if not speeds:
        return Finding(
            True,
            f"too young to compare: {recent} run{pluralize(recent)} in the last hour, no task with a day of history",
        )
    slower = [
        f"{each.task} (p95 {each.p95_seconds:.1f} s, usually {each.usual_p95_seconds:.1f} s)"
        for each in speeds
        if each.is_slower
    ]
    summary = f"last hour: {len(speeds)} task{pluralize(len(speeds))} compared with the last week, {len(slower)} slower"
    reason = (
        f"Slower in the last hour: {', '.join(slower)}. See what ran beside them, and what the last deploy changed."
    )
    return Finding(not slower, summary, reason if slower else "", max(each.ratio for each in speeds))
