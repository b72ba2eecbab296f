"""Who holds which lock, and since when (practice 2)."""

import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.core.cache import caches
from django_redis import get_redis_connection
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

PREFIX = "lock:"
BEAT = "beat"  # the lock of the beat that leads
# Of this process and of all that it forks later. A host's name and a pid do not tell: two containers may share both.
FAMILY = secrets.token_hex(8)


@dataclass(frozen=True)
class HeldLock:
    """age: seconds. seconds_left: None for a lock without a timeout."""

    name: str
    holder: str
    age: float
    seconds_left: float | None

    @property
    def job_id(self) -> UUID | None:
        """Of the job that holds it, if the holder is one."""
        kind, _, name = self.name.partition(":")
        with suppress(ValueError):
            return UUID(name) if kind == "job" else None
        return None


def make_token(holder: str) -> str:
    """A unique value that held_locks() can read."""
    return f"{holder} on {socket.gethostname()}, pid {os.getpid()} {int(time.time())} {FAMILY}-{secrets.token_hex(8)}"


def key_of(name: str) -> str:
    """The key in Redis of a lock that was taken through the cache: with KEY_PREFIX and VERSION, by KEY_FUNCTION."""
    return caches["locks"].make_key(PREFIX + name)


def _scan() -> Iterator[tuple[str, str]]:
    """Keys, and the names of their locks. KEY_FUNCTION, if set, must leave the name at the end."""
    pattern = caches["locks"].client.make_pattern(PREFIX + "*")  # type: ignore[attr-defined]
    for key in get_redis_connection("locks").scan_iter(pattern, count=500):
        yield key.decode(), key.decode().removeprefix(key_of(""))


def held_locks() -> list[HeldLock]:
    """Raises RedisError."""
    redis = get_redis_connection("locks")
    locks = []
    for key, name in _scan():
        value, milliseconds = redis.get(key), redis.pttl(key)
        if value is None:
            continue  # released between the two calls
        holder, _, since = value.decode().rpartition(" ")[0].rpartition(" ")
        age = time.time() - float(since) if since.isdigit() else 0.0
        seconds_left = milliseconds / 1000 if milliseconds >= 0 else None
        locks.append(HeldLock(name, holder, age, seconds_left))
    return locks


def release_locks_of(pid: int) -> list[str]:
    """Releases the locks of a dead process that this one forked. Returns their names. Raises RedisError."""
    redis = get_redis_connection("locks")
    token_of_process = re.compile(rf", pid {pid} \d+ {FAMILY}-".encode())
    released = []
    for key, name in _scan():
        token = redis.get(key)
        if token and token_of_process.search(token):
            with suppress(LockNotOwnedError):
                Lock(redis, key).do_release(token)
                released.append(name)
    return released
