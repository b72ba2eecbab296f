"""Whether the server of the locks has room, and keeps what it has (practice 2).

The trap: full, it refuses every new lock while it answers pings, and an evicted lock lets a second run in
(docs/facts/servers.md#full-server). Flushed or restarted, it misses for a while the locks of living processes.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import WatchError

MAX_MEMORY_SHARE = 0.8
WATCH_KEY = "locks:watched"  # when the watch began, and its last look; it does not expire, so a flush shows


def memory_faults() -> Iterator[str]:
    """Yields a sentence for each fault. Raises RedisError."""
    memory = get_redis_connection("locks").info("memory")
    used, limit, policy = memory["used_memory"], memory["maxmemory"], memory["maxmemory_policy"]
    if limit and used >= MAX_MEMORY_SHARE * limit:
        yield (
            f"The server of the locks uses {used / limit:.0%} of its memory: full, it refuses every lock, and all work"
            " stops. Find its largest keys with `redis-cli --bigkeys`, or give it more memory."
        )
    if policy != "noeviction":
        yield f"The server of the locks may evict ({policy}): full, it drops locks. Set maxmemory-policy noeviction."


def watch_locks(max_gap_seconds: float) -> float:
    """Returns seconds_without_loss(). A gap of more than `max_gap_seconds` between two calls counts as a restart.

    Raises RedisError.
    """
    with get_redis_connection("locks").pipeline() as pipe, suppress(WatchError):
        pipe.watch(WATCH_KEY)  # a flush until execute() would be hidden by what was read before it
        now, began, last = _read_watch(pipe)
        if now - last > max_gap_seconds:
            began = now
        pipe.multi()
        pipe.set(WATCH_KEY, f"{began} {now}")
        pipe.execute()
    return seconds_without_loss()


def seconds_without_loss() -> float:
    """Since the server's last flush or restart. Who has renewed a lock since then, holds it. Raises RedisError."""
    redis = get_redis_connection("locks")
    now, began, _ = _read_watch(redis)
    return float(min(now - began, redis.info("server")["uptime_in_seconds"]))


def _read_watch(redis: Redis) -> tuple[float, float, float]:
    """Now by the server's clock, the begin of the watch (now, without one) and its last look."""
    seconds, microseconds = redis.time()
    now = seconds + microseconds / 1e6
    stored: Any = redis.get(WATCH_KEY)
    began, _, last = (stored or b"").partition(b" ")
    return now, float(began or now), float(last or 0)
