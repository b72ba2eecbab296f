"""Beat does not send an entry of the schedule while the entry's last message waits for a worker.

The fault: expiry alone does not keep a queue short. On Redis an expired message stays until a worker takes it. RabbitMQ
drops one only at the head of its queue (docs/facts/servers.md#expired-at-the-head).
Here beat marks an entry as pending when it sends it. While the mark stands and the queue is not empty, beat skips the
entry and counts its run as expired. A worker that takes or drops a message clears all marks that are older than it,
because a queue is read in order. One exception: a dying worker gives its message back, and two of one entry wait.
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
    """Marks an entry of django-celery-beat's before it is sent. False if it must not be sent: its last message waits.

    True, too, if a server does not answer: an unnecessary message does less harm than a missing one.
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
    """Clears the queue's marks that are older than a message with these headers. Without `published_at` it does
    nothing."""
    if "published_at" in headers:
        try:
            get_redis_connection("locks").zremrangebyscore(PENDING_KEY.format(queue), "-inf", headers["published_at"])
        except RedisError as error:
            log.warning("pending_marks_not_cleared queue=%s error=%r", queue, error)


def on_task_received(request: Any, **_: object) -> None:
    """A receiver of `task_received`: a worker takes a message to run it."""
    clear_marks(request.delivery_info["routing_key"], request.request_dict)


def on_task_revoked(request: Any, **_: object) -> None:
    """A receiver of `task_revoked`: a worker drops a message that has expired."""
    clear_marks(request.delivery_info["routing_key"], vars(request))
