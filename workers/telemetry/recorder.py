"""How the notes on task runs (practice 7) leave a worker's process: by a thread, in batches, to a Redis stream.

So a task pays for no round trip, and a server that is away slows none. The thread also shows which run is alive:
one whose process is killed ends without a signal, and without this would never be counted. The stream lives with the
locks, whose server evicts nothing and which cache.clear() does not touch; at its bound the oldest entries go.
"""

import json
import math
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.telemetry.meter import Meter

STREAM = "runs:ended"
ALIVE = "runs:alive"
BOUND = 50_000  # entries
EVERY = 0.2  # seconds between two batches, and between two looks at the children of a run
SIGN_EVERY = 1  # seconds between two signs of life; none in the first, so that short runs cost nothing
PAUSE = 10  # seconds without a try after the server was away


def note_missed(task: str, queue: str, outcome: str) -> None:
    """Adds a run that did not happen, for who sees it elsewhere than in a worker. Raises RedisError."""
    note = {"task": task, "queue": queue, "outcome": outcome, "ended_at": time.time(), "release": settings.RELEASE}
    get_redis_connection("locks").xadd(STREAM, {"run": json.dumps(note | {"worker": ""})}, maxlen=BOUND)


@dataclass
class Run:
    """A run that goes on. told: what is known from its start. limit: its hard time limit in seconds."""

    key: str
    told: dict[str, Any]
    limit: float = math.inf
    outcome: str = ""
    meter: Meter = field(default_factory=Meter)
    began: float = field(default_factory=time.monotonic)
    signs: int = 0

    def note(self, outcome: str = "") -> dict[str, Any]:
        """What is told of it if it ends now; without an outcome, if it is cut off by its time limit or a kill."""
        seconds = time.monotonic() - self.began
        return self.told | {
            "outcome": self.outcome or outcome or ("failed" if seconds >= self.limit else "lost"),
            "ended_at": time.time(),
            "run_seconds": seconds,
            "peak_bytes": self.meter.peak(),
        }


class Courier(threading.Thread):
    """Carries the notes of one process, which runs one task at a time; `run_now` is the one that goes on."""

    def __init__(self) -> None:
        super().__init__(name="courier", daemon=True)
        self.run_now: Run | None = None
        self._notes: deque[tuple[Run | None, dict[str, Any]]] = deque(maxlen=BOUND)
        self._stir = threading.Event()
        self._leaving = threading.Event()
        self._away_until = 0.0

    def take_up(self, run: Run) -> None:
        self.run_now = run
        self._stir.set()

    def hand_in(self, note: dict[str, Any]) -> None:
        """A run has ended: the one that went on, or a message that never ran."""
        run, self.run_now = self.run_now, None
        self._notes.append((run, note))
        self._stir.set()

    def leave(self) -> None:
        """Sends what there is, within a second: the process ends."""
        self._leaving.set()
        self._stir.set()
        self.join(timeout=1)

    def run(self) -> None:
        """The thread: sleeps while nothing runs and everything is sent."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the thread of the tasks
        while not self._leaving.is_set():
            self._stir.wait()
            self._leaving.wait(EVERY)
            self._stir.clear()
            if run := self.run_now:
                run.meter.look()
            if not self.send() or run:
                self._stir.set()

    def send(self) -> bool:
        """False while the server is away: the notes are kept for later."""
        if time.monotonic() < self._away_until:
            return False
        notes, run = [self._notes.popleft() for _ in range(len(self._notes))], self.run_now
        signs = int((time.monotonic() - run.began) / SIGN_EVERY) if run else 0
        sign = run if run and signs > run.signs else None
        try:
            if notes or sign:
                with get_redis_connection("locks").pipeline() as pipe:
                    for ended, note in notes:
                        pipe.xadd(STREAM, {"run": json.dumps(note)}, maxlen=BOUND)
                        if ended and ended.signs:
                            pipe.hdel(ALIVE, ended.key)
                    if sign:
                        pipe.hset(ALIVE, sign.key, json.dumps(sign.note()))
                    pipe.execute()
        except RedisError:
            self._away_until = time.monotonic() + PAUSE
            self._notes.extendleft(reversed(notes))
            return False
        if sign:
            sign.signs = signs
        return True
