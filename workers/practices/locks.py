"""Practice 2: work that must not overlap holds a lock, and the lock has a timeout.

The trap: a lock without a timeout outlives its dead worker for ever; a timeout shorter than the work lets a second run
in. So a thread renews a short lease while the work runs. Work that lost its lease must stop at its next report.
"""

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field

from celery import current_task
from celery.exceptions import Ignore
from django.conf import settings
from django.core.cache import caches
from django.core.checks import CheckMessage, Error
from django_redis import get_redis_connection
from redis.exceptions import LockError, LockNotOwnedError, RedisError
from redis.lock import Lock

from workers.addresses import server_of
from workers.practices import Finding
from workers.queues import is_given_job, load_tasks
from workers.schedule import scheduled_tasks
from workers.task_source import called_names, held_contexts
from workers.telemetry.held_locks import PREFIX, held_locks, key_of, make_token
from workers.telemetry.lock_server import memory_faults

log = logging.getLogger(__name__)


class Busy(Ignore):
    """Somebody else holds the lock. Uncaught, it makes Celery skip the run without an error."""


class LeaseLost(Exception):
    """This process no longer holds its lock, and must write nothing more."""


@dataclass
class Lease:
    """The renewing thread writes it. good_until: of a clock that goes on while a process stands still."""

    name: str
    good_until: float = math.inf  # with a fencing token
    lost: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises LeaseLost once the lock is gone. Call it before each write."""
        if self.lost.is_set() or time.monotonic() >= self.good_until:
            raise LeaseLost(self.name)


@contextmanager
def exclusive(name: str, *, lease: int, is_fenced: bool = False) -> Iterator[Lease]:
    """Holds the lock `name` while the block runs. Raises Busy if it is held, RedisError if its server is away.

    lease: seconds after which a dead holder's lock frees itself. is_fenced: each write carries a fencing token, which
    alone decides, so a server that was away or flushed never ends the work.
    """
    # thread_local=False: else the renewing thread sees no token (docs/facts/servers.md#lock-in-a-thread).
    lock: Lock = caches["locks"].lock(  # type: ignore[attr-defined]
        PREFIX + name, timeout=lease, blocking=False, thread_local=False
    )
    if not lock.acquire(token=make_token(current_task.name if current_task else "no task")):
        log.info("lock_busy lock=%s", name)
        raise Busy(name)
    held, stop = Lease(name, math.inf if is_fenced else time.monotonic() + lease), threading.Event()
    work = (_renew, lock, held, stop, lease, is_fenced)
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


def _renew(lock: Lock, held: Lease, stop: threading.Event, lease: int, is_fenced: bool) -> None:
    # A platform's SIGTERM is for the main thread, whom it wakes (docs/facts/servers.md#sigterm-in-a-thread).
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while not stop.wait(lease / 3):
        now = time.monotonic()
        try:
            if _renew_once(lock, lease, may_take=now < held.good_until):
                held.good_until = max(held.good_until, now + lease)
            elif not is_fenced:
                break
        except RedisError:
            if time.monotonic() >= held.good_until:
                break
    else:
        return
    log.warning("lock_lost lock=%s", held.name)
    held.lost.set()


def _renew_once(lock: Lock, lease: int, *, may_take: bool) -> bool:
    """False if the lock is another's, or may have been, after its lease. Within it, only a flush leaves no holder."""
    try:
        lock.reacquire()
    except LockNotOwnedError:
        return may_take and bool(lock.redis.set(lock.name, lock.local.token, nx=True, ex=lease))
    return True


def is_held(name: str) -> bool:
    """Raises RedisError if the server is away."""
    return bool(get_redis_connection("locks").exists(key_of(name)))


def check() -> list[CheckMessage]:
    return [*_check_server(), *_check_tasks()]


def _check_server() -> Iterator[CheckMessage]:
    locks, cache = (server_of(settings.CACHES[alias]["LOCATION"]) for alias in ("locks", "default"))
    if locks == cache:
        hint = "Point LOCKS_URL at another one: a cache evicts, and an evicted lock lets a second run in."
        yield Error("The locks and the cache are on the same server.", hint=hint, id="practices.E201")
    timeout, lease = settings.CACHES["locks"]["OPTIONS"]["SOCKET_TIMEOUT"], settings.JOB_LEASE
    if 3 * timeout >= lease:
        fault = f"A lease of {lease} s ends while one renewal waits its {timeout} s for the server."
        hint = f"Set JOB_LEASE above {3 * timeout} s: it is renewed three times in each lease."
        yield Error(fault, hint=hint, id="practices.E203")


def _check_tasks() -> Iterator[CheckMessage]:
    for name, task in sorted(load_tasks().items()):
        held = held_contexts(task.run)
        if name in scheduled_tasks() and not held & {"exclusive", "working_on"}:
            hint = f'Write `with locks.exclusive("{name.rpartition(".")[2]}", lease=30):` around its body.'
            yield Error(f"{name} is scheduled and takes no lock: two runs may meet.", hint=hint, id="practices.E202")
        if is_given_job(task) and not held & {"working_on"} and not called_names(task.run) & {"move", "jobs.move"}:
            hint = "Write `with jobs.working_on(job_id) as job:` around its body."
            yield Error(f"{name} takes no job's lock: a second delivery may meet it.", hint=hint, id="practices.E204")


def verify() -> Finding:
    """ok while every held lock has a timeout, and its server has room and evicts nothing."""
    try:
        locks, faults = held_locks(), list(memory_faults())
    except RedisError as error:
        return Finding(None, "unknown", f"The server of the locks did not answer: {error}")
    endless = [lock.name for lock in locks if lock.seconds_left is None]
    summary = f"{len(locks)} held, {len(endless)} without end"
    if endless:
        fault = f"No timeout on {', '.join(endless)}: a dead worker would hold it for ever."
        faults.append(f"{fault} Take it with locks.exclusive(), and delete the key once nobody works under it.")
    return Finding(not faults, summary, " ".join(faults), len(locks))
