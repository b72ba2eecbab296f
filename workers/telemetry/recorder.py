"""A thread sends the records of task runs to a Redis stream, so that no task waits for the server.

A killed process gives no signal: its heartbeats end, and the last one decides whether its run counts as lost or, near
its hard time limit, as failed. The stream is on the server of the locks, which evicts nothing: so it has a bound, and
nobody's runs can fill that server.
"""

import json
import logging
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.dispatch import Signal
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

from workers.telemetry.meter import MemoryMeter

log = logging.getLogger(__name__)

STREAM = "runs:ended"
HEARTBEATS = "runs:alive"
MAX_STREAM_BYTES = 8_000_000  # 25,000 runs. The collector empties the stream every ten seconds
MAX_RECORDS = 5_000  # in a process, while the server is away
BATCH_SECONDS = 0.2  # between two batches, and between two looks at the children of a run
HEARTBEAT_SECONDS = 1  # a shorter run sends none, and costs nothing
LAST_SECONDS = 2  # between a run's last heartbeat and the kill of its time limit: a heartbeat, a batch, a busy machine
CLOSE_SECONDS = 1  # at the end of a process
RETRY_SECONDS = 10  # after the server was away

# In the process and the thread of the task, with `run`. run_started: with Celery's `request`. run_finished: with the
# `record`, and with `error`, which is None unless the task raised one. run_killed: in the process that collects the
# runs, with the last heartbeat, if a receiver of run_started gave fields to it.
# The sender is the class Run, so that Django can cache who receives.
run_started, run_finished, run_killed = (Signal(use_caching=True) for _ in range(3))


def record_missed_run(task: str, queue: str, outcome: str) -> None:
    """Raises RedisError."""
    record = {"task": task, "queue": queue, "outcome": outcome, "ended_at": time.time(), "release": settings.RELEASE}
    redis = get_redis_connection("locks")
    redis.xadd(STREAM, {"run": json.dumps(record | {"worker": ""})})
    _drop_oldest(redis)


def record_lost_runs(worker: str, pid: int) -> None:
    """For a pool process of this worker that died. Raises RedisError."""
    redis = get_redis_connection("locks")
    for key, value in redis.hgetall(HEARTBEATS).items():
        run = json.loads(value)
        if (run["worker"], run.get("pid")) == (worker, pid) and redis.hdel(HEARTBEATS, key):
            redis.xadd(STREAM, {"run": value})


@dataclass
class Run:
    """limit_seconds: the hard time limit. attempt, error: of its job. heartbeat_fields: for run_killed."""

    key: str
    metadata: dict[str, Any]
    limit_seconds: float = math.inf
    outcome: str = ""
    attempt: int | None = None
    error: BaseException | None = None
    heartbeat_fields: Callable[[], dict[str, Any]] = dict
    meter: MemoryMeter = field(default_factory=MemoryMeter)
    started: float = field(default_factory=time.monotonic)
    heartbeats: int = 0

    def record(self, outcome: str = "") -> dict[str, Any]:
        """Without an outcome, a kill ended the run: that of its hard time limit, if the limit was near."""
        seconds = time.monotonic() - self.started
        killed = "failed" if seconds > self.limit_seconds - LAST_SECONDS else "lost"
        return self.metadata | {
            "outcome": self.outcome or outcome or killed,
            "ended_at": time.time(),
            "run_seconds": seconds,
            "peak_bytes": self.meter.peak_bytes(),
            "idle_seconds": self.meter.idle_seconds(),
        }


class RunRecorder:
    """For a process that runs one task at a time. Never open() it in a worker's main process, which forks the pool."""

    def __init__(self) -> None:
        self.current: Run | None = None
        self._records: deque[tuple[Run | None, dict[str, Any]]] = deque(maxlen=MAX_RECORDS)
        self._thread = threading.Thread(target=self._send_batches, name="run recorder", daemon=True)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._away_until = 0.0

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Blocks for up to CLOSE_SECONDS to send what is left."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=CLOSE_SECONDS)

    def start(self, run: Run) -> None:
        self.current = run
        self._wake.set()

    def finish(self, record: dict[str, Any]) -> None:
        """Also for a message that was dropped instead of run."""
        run, self.current = self.current, None
        self._records.append((run, record))
        self._wake.set()

    def send(self) -> bool:
        """False while the server is away: the records stay for later."""
        if time.monotonic() < self._away_until:
            return False
        records, run = [self._records.popleft() for _ in range(len(self._records))], self.current
        heartbeats = int((time.monotonic() - run.started) / HEARTBEAT_SECONDS) if run else 0
        living = run if run and heartbeats > run.heartbeats else None
        try:
            if records or living:
                _write(records, living)
        except RedisError:
            self._away_until = time.monotonic() + RETRY_SECONDS
            self._records.extendleft(reversed(records))
            return False
        if living:
            living.heartbeats = heartbeats
        return True

    def _send_batches(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are for the thread of the tasks
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(BATCH_SECONDS)
            self._wake.clear()
            if run := self.current:
                run.meter.measure_children()
            is_sent = True
            try:
                is_sent = self.send()
            except Exception:  # else no run of this process would be recorded any more
                log.exception("run_records_lost")
            if not is_sent or run:
                self._wake.set()


def _write(records: list[tuple[Run | None, dict[str, Any]]], living: Run | None) -> None:
    redis = get_redis_connection("locks")
    with redis.pipeline() as pipe:
        for ended, record in records:
            pipe.xadd(STREAM, {"run": json.dumps(record)})
            if ended and ended.heartbeats:
                pipe.hdel(HEARTBEATS, ended.key)
        if living:
            pipe.hset(HEARTBEATS, living.key, json.dumps(living.record() | living.heartbeat_fields()))
        pipe.execute()
    if records:
        with suppress(RedisError):  # the records are there: they must not be sent again
            _drop_oldest(redis)


def _drop_oldest(redis: Redis) -> None:
    """Down to half of MAX_STREAM_BYTES, once the stream is larger."""
    size: Any = redis.memory_usage(STREAM)
    if size and size > MAX_STREAM_BYTES:
        length: Any = redis.xlen(STREAM)
        dropped = redis.xtrim(STREAM, maxlen=length * MAX_STREAM_BYTES // (2 * size), approximate=False)
        log.warning("run_records_dropped count=%s", dropped)
