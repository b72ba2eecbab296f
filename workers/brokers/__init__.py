"""The state of RabbitMQ, Redis and Valkey in one shape."""

from typing import TypedDict


class BrokerUnavailableError(Exception):
    """The broker did not answer, or refused. The text contains no password."""


class QueueState(TypedDict):
    """None where the broker does not tell. size_bytes: of ready and unacked messages."""

    ready: int | None
    unacked: int | None
    consumers: int | None
    size_bytes: int | None
    max_messages: int | None


class BrokerState(TypedDict):
    """Both sizes: None where unknown or unlimited. eviction_policy: "" for RabbitMQ."""

    memory_bytes: int | None
    memory_limit_bytes: int | None
    alarms: list[str]
    eviction_policy: str
    queues: dict[str, QueueState]


EMPTY = QueueState(ready=0, unacked=0, consumers=0, size_bytes=None, max_messages=None)
UNKNOWN = QueueState(ready=None, unacked=None, consumers=None, size_bytes=None, max_messages=None)
