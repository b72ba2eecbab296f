"""A publish that fails fast, so that a web request never hangs on a broker (docs/facts/celery.md#publish-timeouts).

A publish that failed may still be delivered: the row is the outbox, and a second delivery does nothing.
"""

from functools import cache

from celery import current_app
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel as RedisChannel
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers.brokers.producers import acquire_producer, connection
from workers.circuit_breaker import CircuitBreaker, in_request
from workers.queues import table


class BrokerSilentError(OperationalError):
    """A timeout ended the publish."""


@cache
def breaker(queue: str) -> CircuitBreaker:
    """Of each queue: on RabbitMQ one may be on a node that is away, and the others not."""
    return CircuitBreaker(f"broker queue={queue}", OperationalError)


def publish(task: str, job_id: str, queue: str, dispatch_number: int = 0) -> None:
    """The message carries the job's id, which is the task's id too (log_context.bind_task depends on it), and a number.

    Raises kombu's OperationalError or OSError unless the broker surely took the message.
    """
    if queue not in table().queues:
        raise OperationalError(f"this release has no queue {queue}")
    if not in_request.get():
        return _publish(task, job_id, queue, dispatch_number)
    with breaker(queue).guard(BrokerSilentError):
        try:
            return _publish(task, job_id, queue, dispatch_number)
        except (OperationalError, OSError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, (TimeoutError, RedisTimeoutError)):
                raise BrokerSilentError(str(cause)) from cause
            raise


def _publish(task: str, job_id: str, queue: str, dispatch_number: int) -> None:
    with acquire_producer() as producer:
        if isinstance(producer.channel, RedisChannel):
            _refuse_if_full(producer.channel, queue)
        current_app.send_task(
            task,
            args=[job_id],
            task_id=job_id,
            queue=queue,
            headers={"dispatch_number": dispatch_number},
            producer=producer,
            retry=False,
        )


def _refuse_if_full(channel: RedisChannel, queue: str) -> None:
    """Workers cannot empty a Redis server that is out of memory (docs/facts/servers.md#full-server)."""
    limit = table().queues[queue].max_messages
    if isinstance(limit, int) and channel.client.llen(queue) >= limit:
        raise OperationalError(f"the queue {queue} holds its {limit} messages")


def ping_broker() -> None:
    """Raises as publish() does if the broker does not answer in about a second."""
    with connection().clone() as probe:
        probe.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
