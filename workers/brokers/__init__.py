"""What RabbitMQ, Redis and Valkey tell of themselves, in one shape.

state.py asks, connection.py connects within short timeouts, declarations.py declares the table's queues. rabbitmq.py
and valkey.py know how each server answers.
"""

from typing import TypedDict


class BrokerUnavailableError(Exception):
    """The broker did not answer, or refused. The text says why and contains no password."""


class QueueState(TypedDict):
    """A queue at this moment; None where this broker does not tell.

    ready: messages that no consumer has taken. unacked: taken and not acknowledged. size_bytes: of both. max_messages:
    where the broker refuses more.
    """

    ready: int | None
    unacked: int | None
    consumers: int | None
    size_bytes: int | None
    max_messages: int | None


class BrokerState(TypedDict):
    """The broker at this moment. memory: None where unknown or unlimited. alarms: resources that RabbitMQ lacks.

    eviction_policy: of a Redis, which drops keys unless it is `noeviction`; "" for RabbitMQ.
    """

    memory_bytes: int | None
    memory_limit_bytes: int | None
    alarms: list[str]
    eviction_policy: str
    queues: dict[str, QueueState]


EMPTY = QueueState(ready=0, unacked=0, consumers=0, size_bytes=None, max_messages=None)
UNKNOWN = QueueState(ready=None, unacked=None, consumers=None, size_bytes=None, max_messages=None)
