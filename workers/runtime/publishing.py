"""A publish that fails fast, so that a web request never hangs on a broker.

The fault: with Celery's defaults a broker that drops packets holds `.delay()` for more than 75 s, and RabbitMQ in a
memory alarm holds a confirmed one for ever (CELERY-FACTS 3 and 0.5). Here a publish has a connection of its own with
short limits. Its failure may be a false alarm: the row is the outbox and a second delivery does nothing.
"""

from functools import cache
from typing import Any

from celery import current_app
from kombu import Connection
from kombu.pools import producers

LIMITS = {
    # Redis and Valkey.
    "socket_connect_timeout": 0.5,
    "socket_timeout": 1,
    # RabbitMQ. A blocked publish waits three times: for the confirm, the channel, the connection.
    "connect_timeout": 0.5,
    "read_timeout": 0.5,
    "write_timeout": 0.5,
    # Both: kombu's own retries while it connects.
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
POOL_WAIT = 1  # seconds that a thread waits for another one's publish


@cache
def connection() -> Connection:
    """The one that this process publishes through, made when first needed. Safe for threads: kombu pools its copies."""
    return current_app.connection_for_write(connect_timeout=0.5, transport_options=LIMITS)


def publish(task: str, job_id: str, queue: str) -> None:
    """Sends one message that carries the job's id and nothing else; the id is the task's id too.

    Raises kombu's OperationalError or OSError if the broker did not take it for sure.
    """
    with producers[connection()].acquire(block=True, timeout=POOL_WAIT) as producer:
        current_app.send_task(task, args=[job_id], task_id=job_id, queue=queue, producer=producer, retry=False)


def waiting(queue: str) -> int:
    """Messages that wait in a queue, asked without taking one. Raises as publish() does."""
    with connection().clone() as asking:
        channel: Any = asking.default_channel
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except asking.channel_errors:
            return 0  # 404: on Redis an empty queue is none


def ask_broker() -> None:
    """Raises as publish() does if the broker does not answer in about a second."""
    with connection().clone() as asking:
        asking.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
