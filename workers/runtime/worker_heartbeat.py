"""A worker says on the server of the locks that its loop turns, how busy it is, and which processes of its pool hang.

It reads there which queues are paused. It also watches that server: else the death of the leading beat would be a gap
in the watch, which delays recovery.
"""

import logging
import os
import time
from contextlib import suppress
from dataclasses import replace

from celery.signals import worker_shutdown
from celery.worker import state
from django.conf import settings
from redis.exceptions import RedisError

from workers.runtime.hung_processes import HungProcessWatch
from workers.runtime.paused_queues import PausableConsumer
from workers.telemetry import liveness, lock_server, meter

log = logging.getLogger(__name__)

RETRY_SECONDS = 10  # after the server was away: a question to a silent one holds up the worker for 2 s


class Heartbeat:
    """For a worker's main process."""

    def __init__(self, consumer: PausableConsumer) -> None:
        now, self.consumer = time.time(), consumer
        self.worker = liveness.Worker(consumer.hostname, consumer.own_queues, started_at=now, beat_at=now)
        self.watch = HungProcessWatch(consumer.hostname)
        self.away_until = 0.0

    def beat(self) -> None:
        if time.monotonic() < self.away_until:
            return
        try:
            self.consumer.follow_pauses()
            hung = self.watch.check()
            liveness.beat(replace(self.worker, beat_at=time.time(), hung=hung), self.measure_load())
            lock_server.watch_locks(max_gap_seconds=settings.JOB_LEASE)
        except RedisError as error:
            log.warning("worker_heartbeat_failed error=%r", error)
            self.away_until = time.monotonic() + RETRY_SECONDS
            self.watch.reset()  # silent runs may be the server's fault

    def measure_load(self) -> liveness.WorkerLoad:
        main = os.getpid()
        rss_bytes = sum(meter.rss_bytes(pid) for pid in [main, *meter.descendants(main)])
        processes, busy = self.consumer.pool.num_processes, len(state.active_requests)
        return liveness.WorkerLoad(processes, busy, rss_bytes, settings.RELEASE, self.consumer.paused_queues)

    def stop(self, **_: object) -> None:
        with suppress(RedisError):
            liveness.remove_heartbeat(self.worker)


def start(sender: PausableConsumer, **_: object) -> None:
    """A receiver of `worker_ready`. The consumer's timer rests while it has no broker."""
    heartbeat = Heartbeat(sender)
    heartbeat.beat()
    sender.timer.call_repeatedly(liveness.HEARTBEAT_SECONDS, heartbeat.beat)
    worker_shutdown.connect(heartbeat.stop, weak=False)
