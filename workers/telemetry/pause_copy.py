"""A copy of the paused queues on the server of the locks, because a worker's main process must not use the database.

It exists while nothing is paused, too: without it, as after a flush, a worker keeps what it last knew.
Import no Django model here: the Celery app imports this module before Django's apps are loaded.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.clock_format import pause_sentence

KEY = "queues:paused"  # JSON, without expiry
Copy = Mapping[str, tuple[str, datetime]]  # by queue: who paused it, and when


def write(copy: Copy) -> None:
    """Raises RedisError."""
    values = {name: (paused_by, paused_at.isoformat()) for name, (paused_by, paused_at) in copy.items()}
    get_redis_connection("locks").set(KEY, json.dumps(values))


def read() -> Copy | None:
    """None if there is no copy. Raises RedisError."""
    text: Any = get_redis_connection("locks").get(KEY)
    if text is None:
        return None
    return {name: (paused_by, datetime.fromisoformat(at)) for name, (paused_by, at) in json.loads(text).items()}


def read_or_empty() -> Copy:
    """Empty if the server is away, too."""
    try:
        return read() or {}
    except RedisError:
        return {}


def describe(copy: Copy) -> list[str]:
    return [pause_sentence(name, *value) for name, value in copy.items()]
