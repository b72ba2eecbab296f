"""An entry of the schedule is not sent again while its last message waits for a worker.

The fault: expiry alone does not keep a queue short. On Redis an expired message stays until a worker takes it; RabbitMQ
drops one only at the head of its queue, so copies pile up behind the first that lives for a day
(docs/facts/servers.md#expired-at-the-head). Here beat marks an entry when it sends it, and a worker that takes a
message, to run or to drop it, clears the marks made before it was published, whoever published it: a queue is read in
order. Where a mark stands and the queue is not empty, the run counts as expired and is not sent. A mark never stops an
entry for good: an empty queue has no last message in it, and neither has one that moves. A worker that dies and gives a
message back makes one more wait, no more than that.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.brokers import BrokerUnavailableError
from workers.brokers.connection import count_ready
from workers.queues import table
from workers.telemetry.recorder import note_missed

log = logging.getLogger(__name__)

MARKS = "unseen:{}"  # a sorted set for each queue, with the locks: names of entries by when they were last sent


def may_send(entry: Any) -> bool:
    """Marks an entry of django-celery-beat's as sent. False if its last message still waits: this run is skipped."""
    queue = entry.options.get("queue") or table().routes.get(entry.task, {}).get("queue", "default")
    marks, redis = MARKS.format(queue), get_redis_connection("locks")
    try:
        if redis.zscore(marks, entry.name) is not None and count_ready(queue):
            note_missed(entry.task, queue, "expired")
            return False
        redis.zadd(marks, {entry.name: time.time()})
    except (BrokerUnavailableError, RedisError) as error:
        log.warning("beat_entry_sent_unchecked entry=%r error=%r", entry.name, error)
    return True


def clear(queue: str, headers: Mapping[str, Any]) -> None:
    """A message of a queue is seen, by its headers. Nothing happens for one that does not say when it was published."""
    if "published_at" in headers:
        try:
            get_redis_connection("locks").zremrangebyscore(MARKS.format(queue), "-inf", headers["published_at"])
        except RedisError as error:
            log.warning("pending_marks_not_cleared queue=%s error=%r", queue, error)


def take(request: Any, **_: object) -> None:
    """A receiver of `task_received`: a worker takes a message, to run it."""
    clear(request.delivery_info["routing_key"], request.request_dict)


def drop(request: Any, **_: object) -> None:
    """A receiver of `task_revoked`: a worker drops a message, which has expired."""
    clear(request.delivery_info["routing_key"], vars(request))
