"""One connection of a process for publishes that fail fast (docs/facts/celery.md#publish-timeouts).

Private: amqp's Connection._on_blocked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NoReturn

from amqp import RecoverableConnectionError
from celery import current_app
from kombu import Connection, Producer, pools
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.transport import pyamqp

from workers.brokers.connection import SHORT_TIMEOUTS

POOL_WAIT_SECONDS = 0.5  # for another thread's publish


class FailFastConnection(pyamqp.Connection):
    """Ends itself when RabbitMQ raises an alarm (docs/facts/celery.md#memory-alarm-publish)."""

    def _on_blocked(self) -> NoReturn:
        self.collect()  # a regular close would wait for an answer that does not come
        raise RecoverableConnectionError("RabbitMQ has raised an alarm and takes no messages")


class FailFastTransport(pyamqp.Transport):
    Connection = FailFastConnection


@cache
def connection() -> Connection:
    """Safe for threads. Its pools ignore the app's limit until set_limit() (docs/facts/celery.md#connection-pool)."""
    pools.set_limit(current_app.conf.broker_pool_limit)
    scheme = current_app.conf.broker_write_url.partition(":")[0]
    transport: Any = FailFastTransport if scheme in ("amqp", "amqps") else None
    return current_app.connection_for_write(
        connect_timeout=SHORT_TIMEOUTS["connect_timeout"], transport=transport, transport_options=SHORT_TIMEOUTS
    )


@contextmanager
def acquire_producer() -> Iterator[Producer]:
    """Raises kombu's OperationalError or OSError for all that goes wrong in the block too."""
    broker = connection()
    try:
        with pools.producers[broker].acquire(block=True, timeout=POOL_WAIT_SECONDS) as producer:
            yield producer
    except LimitExceeded:
        raise OperationalError(f"other publishes held all connections for {POOL_WAIT_SECONDS} s") from None
    except (*broker.connection_errors, *broker.channel_errors) as error:
        raise OperationalError(str(error)) from error
