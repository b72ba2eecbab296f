"""Declares the queues of the table."""

import re
from typing import Any

from django.conf import settings
from kombu import Exchange
from kombu import Queue as Declaration
from kombu.utils.text import version_string_as_tuple

from workers.brokers.connection import connect, is_amqp
from workers.brokers.rabbitmq import Definition, management_api
from workers.queues import Queue, table

DEAD_LETTER_QUEUE = "dead"  # messages that expired or were delivered too often
# Queues of Celery itself, and the dead letters: no worker of the table consumes them.
INTERNAL_QUEUE = re.compile(rf"{DEAD_LETTER_QUEUE}|celery_delayed_\d+|celeryev\..*|.*celery\.pidbox")
QUEUE_TYPES = ("quorum", "classic")
DELIVERY_LIMIT = 50
MAX_DEAD_LETTERS = 10_000
CONSUMER_TIMEOUT_SINCE = (3, 12)


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
    return [
        Declaration(
            queue.name,
            exchange,
            routing_key=queue.name,
            queue_arguments=arguments,
            # For the releases that read it; 4.0 reads the policy alone.
            consumer_arguments={"x-consumer-timeout": consumer_timeout(queue)} if amqp else {},
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
        server: Any = connection.connection
        version = version_string_as_tuple(server.server_properties["version"])[:2]
    policies = {queue.name: define_policy(queue, version) for queue in table().queues.values()}
    management_api().set_policies({name: policy for name, policy in policies.items() if policy})


def define_policy(queue: Queue, version: tuple[int, ...]) -> Definition:
    """A full queue refuses a publish. RabbitMQ before 3.12 has no timeout of a queue, and refuses the word."""
    policy: Definition = {}
    if isinstance(queue.max_messages, int):
        policy |= {"max-length": queue.max_messages, "overflow": "reject-publish"}
    if version >= CONSUMER_TIMEOUT_SINCE:
        policy["consumer-timeout"] = consumer_timeout(queue)
    return policy


def consumer_timeout(queue: Queue) -> int:
    """Milliseconds after which RabbitMQ ends the worker of a message (docs/facts/servers.md#consumer-timeout)."""
    return queue.max_run_seconds * 2 * 1000
