"""A message with a countdown does not block the worker of a classic queue on RabbitMQ 4.

The consumers share the channel's prefetch (docs/facts/servers.md#countdown-on-rabbitmq-4). RabbitMQ 4.3 denies that
without an error, so a worker refuses to start there.
Not public: `QoS.callback` in kombu 5.7 and `Consumer.qos_global` in Celery 5.7.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from celery.bootsteps import StartStopStep
from kombu.utils.text import version_string_as_tuple

DENIED_SINCE = (4, 3)


class SharedPrefetchError(RuntimeError):
    """Ends the worker, which would hang at the first countdown."""


class SharedPrefetch(StartStopStep):
    """For classic queues on RabbitMQ only."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        refuse(consumer.connection.connection.server_properties)
        channel = consumer.task_consumer.channel
        channel.basic_qos(0, 0, False)  # lifts the limit of each consumer
        channel.basic_qos(0, consumer.initial_prefetch_count, True)
        consumer.qos.callback = partial(consumer.task_consumer.qos, apply_global=True)
        consumer.qos_global = True


def refuse(server: Mapping[str, Any]) -> None:
    """Raises SharedPrefetchError if the server denies a shared prefetch."""
    if server.get("product") == "RabbitMQ" and version_string_as_tuple(server["version"])[:2] >= DENIED_SINCE:
        raise SharedPrefetchError(
            f"QUEUE_TYPE=classic does not work on RabbitMQ {server['version']}: since 4.3 it denies a prefetch that "
            "consumers share, so a message with a countdown would block its worker. Remove QUEUE_TYPE; "
            "docs/decisions/0004-quorum-queues.md says how to change the type."
        )
