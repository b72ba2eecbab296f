"""Beat does not send an entry of the schedule while the entry's last message waits for a worker.

Expiry alone does not keep a queue short (docs/facts/servers.md#expired-at-the-head). Beat marks an entry before it
sends it, and a message that a worker takes or drops clears all older marks of its queue, because a queue is read in
order. A dying worker gives its message back, so two of one entry may wait.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from celery import current_app
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.brokers import BrokerUnavailableError
from workers.brokers.connection import count_ready
from workers.queues import table
from workers.telemetry.recorder import record_missed_run

log = logging.getLogger(__name__)

PENDING_KEY = "pending:{}"  # on the server of the locks: a sorted set for each queue, entries by when they were sent


def try_mark_pending(entry: Any) -> bool:
    """False if the entry must not be sent: its run is recorded as expired.

    True if a server does not answer: an unnecessary message does less harm than a missing one.
    """
    default = current_app.conf.task_default_queue
    queue = entry.options.get("queue") or table().routes.get(entry.task, {}).get("queue", default)
    key, redis = PENDING_KEY.format(queue), get_redis_connection("locks")
    try:
        if redis.zscore(key, entry.name) is not None and count_ready(queue):
            record_missed_run(entry.task, queue, "expired")
            return False
        redis.zadd(key, {entry.name: time.time()})
    except (BrokerUnavailableError, RedisError) as error:
        log.warning("beat_entry_sent_unchecked entry=%r error=%r", entry.name, error)
    return True


def clear_marks(queue: str, headers: Mapping[str, Any]) -> None:
    """Clears the marks that are older than the message with these headers."""
    if "published_at" in headers:
        try:
            get_redis_connection("locks").zremrangebyscore(PENDING_KEY.format(queue), "-inf", headers["published_at"])
        except RedisError as error:
            log.warning("pending_marks_not_cleared queue=%s error=%r", queue, error)


def on_task_received(request: Any, **_: object) -> None:
    clear_marks(request.delivery_info["routing_key"], request.request_dict)


def on_task_revoked(request: Any, **_: object) -> None:
    clear_marks(request.delivery_info["routing_key"], vars(request))
