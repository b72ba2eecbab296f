"""Redis or Valkey as a broker. A consumer is a connection with a worker's name (config/celery.py)."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from workers.brokers import BrokerState, BrokerUnavailableError, QueueState

MAX_KEYS = 10_000  # a broker's own database holds some dozens
PRIORITY_SEPARATOR = "\x06"  # between queue and priority in kombu's keys


def read_state(client: Any, consumers: Mapping[str, str]) -> BrokerState:
    """consumers: the name of the worker for each queue. Raises BrokerUnavailableError."""
    try:
        memory = client.info("memory")
        ready = _count_ready(client)
        unacked = Counter(json.loads(delivery)[2] for delivery in client.hvals("unacked"))
        workers = _count_workers(client)
    except (RedisError, OSError) as error:
        raise BrokerUnavailableError(f"The broker did not answer: {error}") from error
    queues: dict[str, QueueState] = {
        name: {
            "ready": ready[name],
            "unacked": unacked[name],
            "consumers": workers[consumers[name]] if name in consumers else 0,
            "size_bytes": None,
            "max_messages": None,
        }
        for name in {*ready, *unacked, *consumers}
    }
    return {
        "memory_bytes": memory["used_memory"],
        "memory_limit_bytes": memory["maxmemory"] or None,
        "alarms": [],
        "eviction_policy": memory["maxmemory_policy"],
        "queues": queues,
    }


def _count_ready(client: Any) -> Counter[str]:
    if (keys := client.dbsize()) > MAX_KEYS:
        raise BrokerUnavailableError(
            f"The broker's database holds {keys} keys, too many to look through: give it one of its own."
        )
    lists = {key.decode() for key in client.scan_iter(_type="list", count=1000)}
    ready: Counter[str] = Counter()
    for key in lists:
        ready[key.partition(PRIORITY_SEPARATOR)[0]] += client.llen(key)
    return ready


def _count_workers(client: Any) -> Counter[str]:
    database = str(client.connection_pool.connection_kwargs["db"])
    names = {each["name"] for each in client.client_list() if each["db"] == database}
    return Counter(name.partition("@")[0] for name in names)
