"""Declares the queues of the table."""

import re

from django.conf import settings
from kombu import Exchange
from kombu import Queue as Declaration

from workers.brokers.connection import connect, is_amqp
from workers.brokers.rabbitmq import management_api
from workers.queues import table

DEAD_LETTER_QUEUE = "dead"  # messages that expired or were delivered too often
# Queues of Celery itself, and the dead letters: no worker of the table consumes them.
INTERNAL_QUEUE = re.compile(rf"{DEAD_LETTER_QUEUE}|celery_delayed_\d+|celeryev\..*|.*celery\.pidbox")
QUEUE_TYPES = ("quorum", "classic")
DELIVERY_LIMIT = 50
MAX_DEAD_LETTERS = 10_000


def queue_type() -> str:
    """The type of RabbitMQ's queues (docs/decisions/0004-quorum-queues.md)."""
    return settings.QUEUE_TYPE or QUEUE_TYPES[0]


def declarations(*, amqp: bool) -> list[Declaration]:
    """Limits are policies, because RabbitMQ refuses new arguments for an existing queue.

    RabbitMQ needs a topic exchange (docs/facts/servers.md#eta-on-quorum).
    Redis needs a direct one (docs/facts/servers.md#eviction).
    """
    exchange = Exchange("mediaapp", type="topic" if amqp else "direct")
    arguments: dict[str, str | int] = {}
    if amqp:
        arguments = {
            "x-queue-type": queue_type(),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": DEAD_LETTER_QUEUE,
        }
        if queue_type() == "quorum":  # a classic queue counts no deliveries, and refuses the argument
            arguments["x-delivery-limit"] = DELIVERY_LIMIT
    # A consumer's argument wins over the server's 30 minutes and needs no new queue. RabbitMQ before 3.12 ignores it
    # (docs/facts/servers.md#consumer-timeout).
    return [
        Declaration(
            queue.name,
            exchange,
            routing_key=queue.name,
            queue_arguments=arguments,
            consumer_arguments={"x-consumer-timeout": queue.max_run_seconds * 2 * 1000} if amqp else {},
        )
        for queue in table().queues.values()
    ]


def dead_letter_queue() -> Declaration:
    return Declaration(
        DEAD_LETTER_QUEUE, queue_arguments={"x-queue-type": queue_type(), "x-max-length": MAX_DEAD_LETTERS}
    )


def declare_queues() -> None:
    """Does nothing on Redis. Raises BrokerUnavailableError."""
    if not is_amqp():
        return
    with connect() as connection:
        for queue in (*declarations(amqp=True), dead_letter_queue()):
            queue(connection.default_channel).declare()
    limits = {queue.name: queue.max_messages for queue in table().queues.values()}
    management_api().set_max_messages({name: limit for name, limit in limits.items() if isinstance(limit, int)})
