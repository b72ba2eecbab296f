"""A publish that fails fast, so that a web request never hangs on a broker (docs/facts/celery.md#publish-timeouts).

It has a connection of its own with short timeouts. A publish that failed may still be delivered: the row is the
outbox, and a second delivery does nothing. Private: amqp's Connection._on_blocked.
"""

from functools import cache
from typing import Any, NoReturn

from amqp import RecoverableConnectionError
from celery import current_app
from kombu import Connection, pools
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.transport import pyamqp

from workers.brokers.connection import SHORT_TIMEOUTS
from workers.queues import table

POOL_WAIT_SECONDS = 1  # for another thread's publish


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


def publish(task: str, job_id: str, queue: str) -> None:
    """The message carries only the job's id, which is the task's id too: log_context.bind_task depends on it.

    Raises kombu's OperationalError or OSError unless the broker surely took the message.
    """
    if queue not in table().queues:
        raise OperationalError(f"this release has no queue {queue}")
    broker = connection()
    try:
        with pools.producers[broker].acquire(block=True, timeout=POOL_WAIT_SECONDS) as producer:
            if broker.transport.driver_type == "redis":
                _refuse_if_full(producer.channel, queue)
            current_app.send_task(task, args=[job_id], task_id=job_id, queue=queue, producer=producer, retry=False)
    except LimitExceeded:
        raise OperationalError(f"other publishes held all connections for {POOL_WAIT_SECONDS} s") from None
    except (*broker.connection_errors, *broker.channel_errors) as error:
        raise OperationalError(str(error)) from error


def _refuse_if_full(channel: Any, queue: str) -> None:
    """Workers cannot empty a Redis server that is out of memory (docs/facts/servers.md#full-server)."""
    limit = table().queues[queue].max_messages
    if isinstance(limit, int) and channel.client.llen(queue) >= limit:
        raise OperationalError(f"the queue {queue} holds its {limit} messages")


def ping_broker() -> None:
    """Raises as publish() does if the broker does not answer in about a second."""
    with connection().clone() as probe:
        probe.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
