"""What RabbitMQ put aside: messages that expired unread, or came back too often.

It drops an expired message without any signal (CELERY-FACTS 0.9), so that nobody would count the skipped runs of a
recurring task. Here each dead letter becomes a note on a run that did not happen, beside those of practice 7. On
Redis there are no dead letters: a worker that finds an expired message says so itself.
"""

import json
import time
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from kombu import Queue

from workers.practices import broker
from workers.practices.queues import DEAD
from workers.run_stream import BOUND, STREAM


def collect() -> int:
    """Notes every dead letter and takes it away. Returns how many. Raises NoAnswer, RedisError.

    A note comes before its message goes: a crash in between counts it twice, and loses none.
    """
    if not broker.is_amqp():
        return 0
    stream = get_redis_connection("locks")
    collected = 0
    with broker.asking() as connection:
        letters = Queue(DEAD, channel=connection.default_channel)
        while letter := letters.get(no_ack=False):
            stream.xadd(STREAM, {"run": json.dumps(note(letter.headers))}, maxlen=BOUND)
            letter.ack()
            collected += 1
    return collected


def note(headers: dict[str, Any]) -> dict[str, Any]:
    """What is told of a message by its headers, to which RabbitMQ has added why it is dead."""
    death = (headers.get("x-death") or [{}])[0]
    return {
        "task": headers.get("task", ""),
        "queue": death.get("queue", ""),
        "worker": "",
        "release": settings.RELEASE,
        "outcome": "expired" if death.get("reason") == "expired" else "lost",
        "ended_at": time.time(),
    }
