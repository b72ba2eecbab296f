"""Practice 2: work that must not overlap holds a lock, and the lock has a timeout.

The trap: a lock without a timeout outlives its dead worker for ever; one with a timeout shorter than the work lets a
second run in. So the lease is short and renewed by a thread while the work runs: it dies with its process, within the
lease, and work that lost its lease is told so at its next report. Locks live under a cache alias of their own.
"""

import inspect
import logging
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from celery import current_app, current_task
from celery.exceptions import Ignore
from django.conf import settings
from django.core.cache import caches
from django.core.checks import CheckMessage, Error
from django_redis import get_redis_connection
from redis.exceptions import LockError, LockNotOwnedError, RedisError
from redis.lock import Lock

from workers.practices import Finding

log = logging.getLogger(__name__)
PREFIX = "lock:"
CHAPTER = "See docs/2-locks.md."
TAKES_LOCK = re.compile(r"\b(exclusive|working_on)\(")


class Busy(Ignore):
    """Somebody else holds the lock. To Celery that is no error: the run is skipped, with one line in the log."""


class LeaseLost(Exception):
    """This process no longer holds the lock that its work began with, and must write nothing more."""


@dataclass
class Lease:
    """A lock while it is held. `lost` is set by the renewing thread."""

    name: str
    lost: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises LeaseLost once the lock is gone. Work calls this before it writes."""
        if self.lost.is_set():
            raise LeaseLost(self.name)


@dataclass(frozen=True)
class HeldLock:
    """A live lock key. age and seconds_left in seconds; seconds_left is None for a key without an end."""

    name: str
    holder: str
    age: float
    seconds_left: float | None


@contextmanager
def exclusive(name: str, *, lease: int) -> Iterator[Lease]:
    """Holds the lock `name` (with its object's id in it, where it has one) while the block runs.

    lease: seconds after which a dead holder's lock frees itself. Raises Busy if it is held, RedisError if the server
    of the locks is away.
    """
    # thread_local=False: with redis-py's default the renewing thread sees no token and the lock expires unseen
    # (docs/facts/servers.md#lock-in-a-thread).
    lock: Lock = caches["locks"].lock(  # type: ignore[attr-defined]
        PREFIX + name, timeout=lease, blocking=False, thread_local=False
    )
    task = current_task.name if current_task else "no task"
    token = f"{task} on {socket.gethostname()}, pid {os.getpid()} {int(time.time())} {secrets.token_hex(8)}"
    if not lock.acquire(token=token):
        log.info("lock_busy lock=%s", name)
        raise Busy(name)
    held = Lease(name)
    stop = threading.Event()
    work = (_renew, lock, held, stop, lease)
    renewal = threading.Thread(target=copy_context().run, args=work, name=f"renew {name}", daemon=True)
    renewal.start()
    try:
        yield held
    finally:
        stop.set()
        renewal.join()
        try:
            lock.release()
        except (LockError, RedisError) as error:
            log.warning("lock_not_released lock=%s error=%r", name, error)


def _renew(lock: Lock, held: Lease, stop: threading.Event, lease: int) -> None:
    """Puts the full lease back on the lock three times per lease, until told to stop or the lock is lost."""
    # A platform's SIGTERM is for the main thread: given to this one, it would wake nobody
    # (docs/facts/servers.md#sigterm-in-a-thread).
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    token = lock.local.token
    good_until = time.monotonic() + lease
    while not stop.wait(lease / 3):
        now = time.monotonic()
        try:
            lock.reacquire()
            good_until = now + lease
        except LockNotOwnedError:
            # A flushed server has no owner at all: take the lock again, unless somebody was quicker.
            if not _take_again(lock, token, lease):
                break
            good_until = now + lease
        except RedisError:
            if time.monotonic() >= good_until:
                break
    else:
        return
    log.warning("lock_lost lock=%s", held.name)
    held.lost.set()


def _take_again(lock: Lock, token: Any, lease: int) -> bool:
    try:
        return bool(lock.redis.set(lock.name, token, nx=True, ex=lease))
    except RedisError:
        return False


def is_held(name: str) -> bool:
    """Whether anybody holds the lock now. Raises RedisError if the server is away."""
    return bool(get_redis_connection("locks").exists(PREFIX + name))


def held() -> list[HeldLock]:
    """Every lock that is held now. Raises RedisError if the server is away."""
    redis = get_redis_connection("locks")
    now = time.time()
    locks = []
    for key in redis.scan_iter(PREFIX + "*", count=500):
        value, milliseconds = redis.get(key), redis.pttl(key)
        if value is None:
            continue  # released between the two calls
        holder, _, since = value.decode().rpartition(" ")[0].rpartition(" ")
        left = milliseconds / 1000 if milliseconds >= 0 else None
        age = now - float(since) if since.isdigit() else 0.0
        locks.append(HeldLock(key.decode().removeprefix(PREFIX), holder, age, left))
    return locks


def check() -> list[CheckMessage]:
    """E201: locks and cache share a database. E202: a scheduled task without one. E203: a lease too short to renew."""
    messages: list[CheckMessage] = []
    if settings.CACHES["locks"]["LOCATION"] == settings.CACHES["default"]["LOCATION"]:
        messages.append(
            Error(
                "The locks live in the same database as the cache.",
                hint=f"Set LOCKS_URL to another database or server: cache.clear() would drop them. {CHAPTER}",
                id="practices.E201",
            )
        )
    messages += [
        Error(
            f"{task} is scheduled and takes no lock: a slow run would meet the next one.",
            hint=f'Write `with locks.exclusive("{task.rpartition(".")[2]}", lease=30):` around its body. {CHAPTER}',
            id="practices.E202",
        )
        for task in sorted({entry["task"] for entry in current_app.conf.beat_schedule.values()})
        if not TAKES_LOCK.search(_source_of(task))
    ]
    limit = settings.CACHES["locks"]["OPTIONS"]["SOCKET_TIMEOUT"]
    if 3 * limit >= settings.JOB_LEASE:
        messages.append(
            Error(
                f"A lease of {settings.JOB_LEASE} s ends while one renewal waits its {limit} s for the server.",
                hint=f"Set JOB_LEASE above {3 * limit} s: it is renewed three times in each lease. {CHAPTER}",
                id="practices.E203",
            )
        )
    return messages


def _source_of(task: str) -> str:
    module, _, name = task.rpartition(".")
    return inspect.getsource(getattr(import_module(module), name).run)


def verify() -> Finding:
    """Holds while every live lock has an end."""
    try:
        live = held()
    except RedisError as error:
        return Finding(None, "unknown", f"The server of the locks did not answer: {error}")
    endless = [lock.name for lock in live if lock.seconds_left is None]
    figure = f"{len(live)} held, {len(endless)} without end"
    if endless:
        return Finding(
            False,
            figure,
            f"No timeout on {', '.join(endless)}: a dead worker would hold it for ever.",
        )
    return Finding(True, figure)
