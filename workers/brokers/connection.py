"""A connection to ask the broker something, with limits: no page, check or sweep hangs on a silent broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.brokers import NoAnswer, Standing

# What a publish or a question may cost, in seconds. Retries are the sweep's (docs/facts/celery.md#publish-timeouts).
LIMITS = {
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
EMPTY = Standing(waiting=0, unacked=0, consumers=0, size=None, limit=None)


def is_amqp() -> bool:
    """Whether the broker is RabbitMQ."""
    return bool(settings.BROKER_URL.startswith("amqp"))


@contextmanager
def connect() -> Iterator[Connection]:
    """A connection within LIMITS. Raises NoAnswer, from the block too."""
    try:
        with current_app.connection_for_read(settings.BROKER_URL, connect_timeout=0.5, transport_options=LIMITS) as it:
            it.ensure_connection(max_retries=0)
            yield it
    except (OperationalError, OSError, AMQPError, RedisError) as error:
        raise NoAnswer(f"The broker did not answer: {error}") from error


def count_waiting(queue: str) -> int:
    """Messages that wait in a queue at this moment, counted without taking one. Raises NoAnswer."""
    with connect() as connection:
        return ask_queue(connection, queue)["waiting"] or 0


def ask_queue(connection: Connection, queue: str) -> Standing:
    """What a passive declare tells: all but `unacked`. On Redis an empty queue does not exist, which is EMPTY too."""
    channel: Any = connection.default_channel
    try:
        answer = channel.queue_declare(queue=queue, passive=True)
    except connection.channel_errors:
        return EMPTY
    return Standing(waiting=answer.message_count, unacked=None, consumers=answer.consumer_count, size=None, limit=None)
