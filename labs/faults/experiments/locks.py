"""Locks that outlive their holder, or that let a second run in."""

import multiprocessing
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from django.core.cache import cache, caches
from django_redis import get_redis_connection

from devtools.processes import wait_until
from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from workers.practices import locks
from workers.telemetry.held_locks import PREFIX

NAME, WORK_SECONDS = "nightly report", 60


class LockFault(Experiment):
    page = "servers.md"
    fix = "workers/practices/locks.py"
    brokers = (VALKEY,)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        get_redis_connection("locks").delete(NAME, PREFIX + NAME)


def plain_lock(**options: Any) -> Any:
    """As an article takes it: `cache.lock("nightly report")`."""
    return caches["locks"].lock(NAME, blocking=False, **options)  # type: ignore[attr-defined]


def can_take() -> bool:
    """Whether the site's lock lets another run in."""
    try:
        with locks.exclusive(NAME, lease=30):
            return True
    except locks.Busy:
        return False


class LockWithoutTimeout(LockFault):
    """A worker is killed while it holds `cache.lock(name)`. The lock stays for ever, and the recurring task never runs
    again. Nobody notices, since each run ends without an error."""

    id = "lock-without-timeout"
    how = "each lock has a lease of seconds, which its holder renews"
    reads = "4 s after its holder was killed, the lock is {state}"

    def without(self) -> Seen:
        return self.kill_holder(hold_plain, NAME)

    def with_fix(self) -> Seen:
        return self.kill_holder(hold_leased, PREFIX + NAME)

    def kill_holder(self, hold: Callable[[], None], key: str) -> Seen:
        redis = get_redis_connection("locks")
        holder = multiprocessing.get_context("fork").Process(target=hold)
        holder.start()
        wait_until(lambda: redis.exists(key), "the lock")
        holder.kill()
        holder.join()
        time.sleep(4)
        return {"state": "still there" if redis.exists(key) else "free"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "free")


def hold_plain() -> None:
    plain_lock().acquire()
    time.sleep(WORK_SECONDS)


def hold_leased() -> None:
    with locks.exclusive(NAME, lease=2):
        time.sleep(WORK_SECONDS)


class LockTooShort(LockFault):
    """The timeout of a lock is shorter than the work on a bad day. The lock ends in the middle, and a second run works
    beside the first one."""

    id = "lock-too-short"
    how = "a thread renews the lease while the work runs"
    reads = "beside work of 3 s under a lock of 2 s, a second run {state}"

    def without(self) -> Seen:
        plain_lock(timeout=2).acquire()
        time.sleep(3)
        return self.seen(plain_lock(timeout=2).acquire())

    def with_fix(self) -> Seen:
        with locks.exclusive(NAME, lease=2):
            time.sleep(3)
            return self.seen(can_take())

    def seen(self, is_let_in: bool) -> Seen:
        return {"state": "begins" if is_let_in else "is refused"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "begins")


class LockOfAnother(LockTooShort):
    """`cache.add(key)` and `finally: cache.delete(key)`, as many articles have it. A run that outlived its lock deletes
    the next one's lock, and a third run begins."""

    id = "lock-of-another"
    how = "a holder releases only a lock that has its own token"
    reads = "after a late run has ended, a third one {state} beside the second"

    def without(self) -> Seen:
        plain = caches["locks"]
        plain.add(NAME, "first", timeout=1)
        time.sleep(1.2)
        plain.add(NAME, "second", timeout=60)
        plain.delete(NAME)  # the first one's `finally`
        return self.seen(plain.add(NAME, "third", timeout=60))

    def with_fix(self) -> Seen:
        with locks.exclusive(NAME, lease=30):
            # Its lock is gone, as if its machine had slept; a second run has taken it.
            get_redis_connection("locks").set(PREFIX + NAME, "second", ex=60)
        return self.seen(can_take())


class LockInThread(LockTooShort):
    """A thread renews the lock by `reacquire()`. In redis-py only the thread that took the lock knows its token, so the
    renewal fails with an AttributeError, and the lock ends."""

    id = "lock-in-a-thread"
    how = "`thread_local=False`"

    def without(self) -> Seen:
        lock = plain_lock(timeout=2)
        lock.acquire()
        for _ in range(3):
            renewal = Thread(target=renew, args=(lock,))
            renewal.start()
            time.sleep(1)
            renewal.join()
        return self.seen(plain_lock(timeout=2).acquire())


def renew(lock: Any) -> None:
    try:
        lock.reacquire()
    except AttributeError:
        """Python would print it to the log of the worker, and nobody would read it."""


class ClearedCache(LockFault):
    """Somebody calls `cache.clear()`, as many deploy scripts do. The locks of running tasks are gone with the cache."""

    id = "cleared-cache"
    fix = "config/settings.py"
    how = "locks have an address of their own, LOCKS_URL"
    reads = "after `cache.clear()` a held lock is {state}"

    def without(self) -> Seen:
        cache.lock(NAME, timeout=60).acquire()  # type: ignore[attr-defined]
        cache.clear()
        return {"state": "held" if get_redis_connection("default").exists(NAME) else "gone"}

    def with_fix(self) -> Seen:
        with locks.exclusive(NAME, lease=30):
            cache.clear()
            return {"state": "gone" if can_take() else "held"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "gone")


FAULTS: list[type[Experiment]] = [LockWithoutTimeout, LockTooShort, LockOfAnother, LockInThread, ClearedCache]
