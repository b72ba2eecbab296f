"""Asks the broker with short timeouts, so that no page, check or sweep hangs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.brokers import EMPTY, BrokerUnavailableError, QueueState

# Transport options for a publish or a question; timeouts are seconds. The sweep retries
# (docs/facts/celery.md#publish-timeouts).
SHORT_TIMEOUTS = {
    # Redis and Valkey.
    "socket_connect_timeout": 0.5,
    "socket_timeout": 1,
    # RabbitMQ.
    "connect_timeout": 0.5,
    "read_timeout": 0.5,
    "write_timeout": 0.5,
    # Both: kombu's own retries while it connects.
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}


def is_amqp() -> bool:
    return bool(settings.BROKER_URL.startswith("amqp"))


@contextmanager
def connect() -> Iterator[Connection]:
    """Raises BrokerUnavailableError, also for an error inside the block."""
    options = {"connect_timeout": SHORT_TIMEOUTS["connect_timeout"], "transport_options": SHORT_TIMEOUTS}
    try:
        with current_app.connection_for_read(settings.BROKER_URL, **options) as connection:
            connection.ensure_connection(max_retries=0)
            yield connection
    except (OperationalError, OSError, AMQPError, RedisError) as error:
        raise BrokerUnavailableError(f"The broker did not answer: {error}") from error


def count_ready(queue: str) -> int:
    """Raises BrokerUnavailableError."""
    with connect() as connection:
        return declare_passively(connection, queue)["ready"] or 0


def declare_passively(connection: Connection, queue: str) -> QueueState:
    """Only `ready` and `consumers` are known. EMPTY for a queue that does not exist."""
    channel: Any = connection.default_channel
    try:
        answer = channel.queue_declare(queue=queue, passive=True)
    except connection.channel_errors:
        return EMPTY
    return QueueState(
        ready=answer.message_count,
        unacked=None,
        consumers=answer.consumer_count,
        size_bytes=None,
        max_messages=None,
    )
