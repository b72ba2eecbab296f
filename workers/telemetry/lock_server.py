"""Whether the server of the locks has room, and keeps what it has (practice 2).

The trap: full, it refuses every new lock while it answers pings, and an evicted lock lets a second run in
(docs/facts/servers.md#full-server).
"""

from collections.abc import Iterator

from django_redis import get_redis_connection

MAX_MEMORY_SHARE = 0.8


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
