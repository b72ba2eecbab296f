"""What a broker tells of itself, in one shape for RabbitMQ and Redis/Valkey. Knows no queue, worker or task of ours."""

from typing import TypedDict


class NoAnswer(Exception):
    """The broker could not be asked; the text says why, in words that carry no password."""


class Standing(TypedDict):
    """A queue at this moment. None: this broker cannot tell.

    waiting: messages that nobody has taken. unacked: taken and not finished. size: bytes of both. limit: messages at
    which it refuses more.
    """

    waiting: int | None
    unacked: int | None
    consumers: int | None
    size: int | None
    limit: int | None


class State(TypedDict):
    """used and limit: bytes of memory, None where unknown or unlimited. alarms: resources that RabbitMQ is short of.

    eviction: the policy of a Redis/Valkey, which drops keys unless it is `noeviction`; empty for RabbitMQ.
    """

    used: int | None
    limit: int | None
    alarms: list[str]
    eviction: str
    queues: dict[str, Standing]
