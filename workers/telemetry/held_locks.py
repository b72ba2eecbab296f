"""Who holds which lock, and since when (practice 2)."""

import os
import secrets
import socket
import time
from dataclasses import dataclass

from django_redis import get_redis_connection

PREFIX = "lock:"


@dataclass(frozen=True)
class HeldLock:
    """age: seconds. seconds_left: None for a lock without a timeout."""

    name: str
    holder: str
    age: float
    seconds_left: float | None


def make_token(holder: str) -> str:
    """A unique value that held_locks() can read."""
    return f"{holder} on {socket.gethostname()}, pid {os.getpid()} {int(time.time())} {secrets.token_hex(8)}"


def held_locks() -> list[HeldLock]:
    """Raises RedisError."""
    redis = get_redis_connection("locks")
    locks = []
    for key in redis.scan_iter(PREFIX + "*", count=500):
        value, milliseconds = redis.get(key), redis.pttl(key)
        if value is None:
            continue  # released between the two calls
        holder, _, since = value.decode().rpartition(" ")[0].rpartition(" ")
        age = time.time() - float(since) if since.isdigit() else 0.0
        seconds_left = milliseconds / 1000 if milliseconds >= 0 else None
        locks.append(HeldLock(key.decode().removeprefix(PREFIX), holder, age, seconds_left))
    return locks
