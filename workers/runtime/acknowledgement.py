"""A worker connects again when a message's acknowledgement got lost (docs/facts/celery.md#lost-acknowledgement).

Celery has forgotten the message, but kombu counts it: at prefetch 1 the worker takes no other one.
Not public in kombu 5.7: `QoS._delivered` and `QoS._dirty`, the tags of delivered and of acknowledged messages.
"""

from typing import Any

from celery.bootsteps import StartStopStep
from redis.exceptions import ConnectionError as RedisConnectionError

from workers.runtime.visibility_timeout import unacknowledged_requests

INTERVAL_SECONDS = 5


class LostAcknowledgementError(RedisConnectionError):
    """A ConnectionError, so that the worker connects again."""


class AcknowledgementCheck(StartStopStep):
    """For the Redis transport only."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    timer = None

    def start(self, consumer: Any) -> None:
        self.timer = consumer.timer.call_repeatedly(INTERVAL_SECONDS, check_acknowledgements, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self.timer:
            self.timer.cancel()


def check_acknowledgements(consumer: Any) -> None:
    """Raises LostAcknowledgementError if kombu counts a message that no request of this worker holds."""
    qos = consumer.task_consumer.channel.qos
    held = {request.message.delivery_tag for request in unacknowledged_requests()}
    lost = set(qos._delivered) - set(qos._dirty) - held
    if lost:
        raise LostAcknowledgementError(f"{len(lost)} messages were not acknowledged: the worker connects again")
