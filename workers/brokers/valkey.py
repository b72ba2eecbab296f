"""Redis or Valkey as a broker: its memory, and the keys that kombu keeps there.

It knows no consumers, no bytes of a queue and no limit of its length. Who reads is known by the names that our workers
give to their connections (config/celery.py), so a worker that was killed is gone at once.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from workers.brokers import NoAnswer, Standing, State

MANY = 10_000  # keys: a broker's own database holds some dozens
PRIORITY = "\x06"  # between a queue's name and a message's priority, in kombu's keys


def state(client: Any, readers: Mapping[str, str]) -> State:
    """What the server says. readers: for each queue the name of the worker that reads it. Raises NoAnswer."""
    try:
        memory = client.info("memory")
        waiting = _waiting(client)
        unacked = Counter(json.loads(delivery)[2] for delivery in client.hvals("unacked"))
        connected = _connected(client)
    except (RedisError, OSError) as error:
        raise NoAnswer(f"The broker did not answer: {error}") from error
    queues: dict[str, Standing] = {
        name: {
            "waiting": waiting[name],
            "unacked": unacked[name],
            "consumers": connected[readers[name]] if name in readers else 0,
            "size": None,
            "limit": None,
        }
        for name in {*waiting, *unacked, *readers}
    }
    return {
        "used": memory["used_memory"],
        "limit": memory["maxmemory"] or None,
        "alarms": [],
        "eviction": memory["maxmemory_policy"],
        "queues": queues,
    }


def _waiting(client: Any) -> Counter[str]:
    """Messages in every list of the database."""
    if (keys := client.dbsize()) > MANY:
        raise NoAnswer(f"The broker's database holds {keys} keys, too many to look through: give it one of its own.")
    lists = {key.decode() for key in client.scan_iter(_type="list", count=1000)}
    waiting: Counter[str] = Counter()
    for key in lists:
        waiting[key.partition(PRIORITY)[0]] += client.llen(key)
    return waiting


def _connected(client: Any) -> Counter[str]:
    """How many workers of each name (the part before the @) are connected."""
    database = str(client.connection_pool.connection_kwargs["db"])
    names = {each["name"] for each in client.client_list() if each["db"] == database}
    return Counter(name.partition("@")[0] for name in names)
