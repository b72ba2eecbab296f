"""The broker's state, which all processes share for CACHE_SECONDS.

RabbitMQ's own figures are older (docs/facts/servers.md#management-api).
"""

from threading import Lock
from typing import Any

from django.core.cache import cache

from workers.brokers import EMPTY, UNKNOWN, BrokerState, BrokerUnavailableError, QueueState, valkey
from workers.brokers.connection import connect, declare_passively, is_amqp
from workers.brokers.rabbitmq import management_api
from workers.queues import table

CACHE_KEY = "broker:state"
CACHE_SECONDS = 5
_ASKING = Lock()  # RabbitMQ's plans are small: one connection of a process for all threads that count its messages


def read_broker_state() -> BrokerState:
    """Raises BrokerUnavailableError."""
    state: BrokerState | None = cache.get(CACHE_KEY)
    if state is None:
        state = _ask_broker()
        cache.set(CACHE_KEY, state, CACHE_SECONDS)
    return state


def read_queue_states() -> dict[str, QueueState]:
    """Without RabbitMQ's management API, only `ready` and `consumers` are known. Raises BrokerUnavailableError."""
    try:
        known = read_broker_state()["queues"]
    except BrokerUnavailableError:
        if not is_amqp():
            raise
        with _ASKING, connect() as connection:
            known = {queue: declare_passively(connection, queue) for queue in table().queues}
    return {queue: known.get(queue, EMPTY) for queue in table().queues}


def read_queue_states_or_unknown() -> dict[str, QueueState]:
    try:
        return read_queue_states()
    except BrokerUnavailableError:
        return dict.fromkeys(table().queues, UNKNOWN)


def _ask_broker() -> BrokerState:
    if is_amqp():
        return management_api().read_state()
    with connect() as connection:
        channel: Any = connection.default_channel
        return valkey.read_state(channel.client, table().consumers)
