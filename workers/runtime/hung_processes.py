"""A worker finds the processes of its pool that hang, and kills them.

A stopped or deadlocked process would keep its slot until the time limit of its task. An idle one takes no task at all:
the pool writes the next message into its pipe, where no time limit runs. The pool gives that message to another
process when this one is dead.
Not public in Celery 5.7 and billiard 4.3: `Request.worker_pid`, `Request._apply_result` (a weak reference to the
pool's result), and `ApplyResult._write_to`, the process into whose pipe the message went, which is None before.
"""

import logging
import os
import signal
import time
from contextlib import suppress
from typing import Any

from celery.worker import state

from workers.telemetry import liveness
from workers.telemetry.liveness import HungProcess

log = logging.getLogger(__name__)

KILL_SECONDS = 30  # after a process was first seen to be silent
Task = tuple[int, str]  # a process's pid, and the id of the task that it runs or has in its pipe


class HungProcessWatch:
    """For a worker's main process. Call `check()` every few seconds."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.checked_at = time.monotonic()
        self.assigned_since: dict[Task, float] = {}  # by when it was first seen in the pipe of an idle process
        self.silent_since: dict[Task, float] = {}  # by when the run was first seen to be silent

    def reset(self) -> None:
        """For when the silence may be the fault of others."""
        self.assigned_since.clear()
        self.silent_since.clear()

    def check(self) -> list[HungProcess]:
        """Kills those that hang for too long. Raises RedisError."""
        now = time.monotonic()
        if now - self.checked_at > liveness.SILENT_SECONDS:
            self.reset()  # this process stood still, and has not read yet what the others wrote
        self.checked_at = now
        requests = list(state.reserved_requests)
        running = {(int(request.worker_pid), request.id): request.name for request in requests if request.worker_pid}
        assigned = {(pid, request.id): request.name for request in requests if (pid := _assigned_pid(request))}
        runs = liveness.read_runs() if running or assigned else []
        self._measure(running, assigned, [run for run in runs if run["worker"] == self.worker], now)
        named_after = liveness.SILENT_SECONDS
        hung = [
            HungProcess(running[task], now - since + named_after, True) for task, since in self.silent_since.items()
        ]
        waits = {task: now - since for task, since in self.assigned_since.items()}
        hung += [HungProcess(assigned[task], wait, False) for task, wait in waits.items() if wait > named_after]
        self._kill(now)
        return hung

    def _measure(
        self, running: dict[Task, str], assigned: dict[Task, str], runs: list[dict[str, Any]], now: float
    ) -> None:
        seconds = {(run.get("pid"), run["id"]): run["silent_seconds"] for run in runs}
        # A run that is missing counts as before: the collection of runs takes away the silent ones.
        silent = [
            task
            for task in running
            if (seconds[task] > liveness.SILENT_SECONDS if task in seconds else task in self.silent_since)
        ]
        self.silent_since = {task: self.silent_since.get(task, now) for task in silent}
        # After a lost connection, a process may still be busy with a message that the pool has forgotten.
        busy = {run.get("pid") for run in runs if run["silent_seconds"] < liveness.SILENT_SECONDS}
        self.assigned_since = {task: self.assigned_since.get(task, now) for task in assigned if task[0] not in busy}

    def _kill(self, now: float) -> None:
        late = [task for task, since in self.silent_since.items() if now - since > KILL_SECONDS]
        unread_seconds = liveness.SILENT_SECONDS + KILL_SECONDS
        late += [task for task, since in self.assigned_since.items() if now - since > unread_seconds]
        for pid, task_id in late:
            log.warning("hung_process_killed pid=%s task=%s", pid, task_id)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _assigned_pid(request: Any) -> int | None:
    """Of the process that has not yet taken the request out of its pipe."""
    result = None if request.worker_pid or request._apply_result is None else request._apply_result()
    process = getattr(result, "_write_to", None)
    return process.pid if process else None
