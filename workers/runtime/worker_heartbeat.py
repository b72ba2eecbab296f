"""A worker says on the server of the locks that its loop turns, and kills its pool processes that hang.

It also watches that server. Else the death of the leading beat would be a gap in the watch, which delays recovery.
A stopped or deadlocked process would keep its slot until its time limit. Its run gives no sign of life meanwhile,
although the server of the locks answers.
"""

import logging
import os
import signal
import time
from contextlib import suppress
from typing import Any

from celery.signals import worker_shutdown
from celery.worker import state
from django.conf import settings
from redis.exceptions import RedisError

from workers.telemetry import liveness, lock_server

log = logging.getLogger(__name__)

RETRY_SECONDS = 10  # after the server was away: a question to a silent one holds up the worker for 2 s
KILL_SECONDS = 30  # after a run was first seen to be silent


class Heartbeat:
    """For a worker's main process."""

    def __init__(self, consumer: Any) -> None:
        self.name: str = consumer.hostname
        self.queues = list(consumer.app.amqp.queues.consume_from)
        self.away_until = 0.0
        self.silent_since: dict[str, float] = {}

    def beat(self) -> None:
        if time.monotonic() < self.away_until:
            return
        try:
            liveness.beat(self.name, self.queues)
            lock_server.watch_locks(max_gap_seconds=settings.JOB_LEASE)
            self.kill_silent_runs()
        except RedisError as error:
            log.warning("worker_heartbeat_failed error=%r", error)
            self.away_until = time.monotonic() + RETRY_SECONDS
            self.silent_since.clear()  # silent runs may be the server's fault

    def kill_silent_runs(self) -> None:
        active = {request.id: request.worker_pid for request in list(state.active_requests) if request.worker_pid}
        if not active:
            self.silent_since.clear()
            return
        runs, now = liveness.read_runs(), time.monotonic()
        for task_id in active.keys() & runs.keys():
            if runs[task_id]["silent_seconds"] > liveness.SILENT_SECONDS:
                self.silent_since.setdefault(task_id, now)
            else:
                self.silent_since.pop(task_id, None)
        # A run that is missing counts as before: the collection of runs takes away the silent ones.
        self.silent_since = {task_id: since for task_id, since in self.silent_since.items() if task_id in active}
        for task_id, since in self.silent_since.items():
            if now - since > KILL_SECONDS:
                log.warning("hung_process_killed pid=%s task=%s", active[task_id], task_id)
                with suppress(ProcessLookupError):
                    os.kill(int(active[task_id]), signal.SIGKILL)

    def stop(self, **_: object) -> None:
        with suppress(RedisError):
            liveness.remove_heartbeat(self.name, self.queues)


def start(sender: Any, **_: object) -> None:
    """A receiver of `worker_ready`. The consumer's timer rests while it has no broker."""
    heartbeat = Heartbeat(sender)
    heartbeat.beat()
    sender.timer.call_repeatedly(liveness.HEARTBEAT_SECONDS, heartbeat.beat)
    worker_shutdown.connect(heartbeat.stop, weak=False)
