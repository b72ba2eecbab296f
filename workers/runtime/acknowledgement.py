"""A message whose acknowledgement got lost does not fill its worker for ever.

The fault: the broker restarts while a task runs, and the task ends meanwhile. Celery logs "Couldn't ack" and forgets
the message, kombu still counts it: at prefetch 1 the worker asks for no other one, and where nothing is asked, nobody
notices that the connection is gone (docs/facts/celery.md#lost-acknowledgement). Here a worker looks every few seconds
for messages that are counted and that no task of its own holds, and gives the connection up: Celery makes a new one,
which counts anew.
Not public in kombu 5.7: `QoS._delivered` and `QoS._dirty`, the delivery tags that are counted, and those let go.
"""

from typing import Any

from celery.bootsteps import StartStopStep
from redis.exceptions import ConnectionError as ConnectionLost

from workers.runtime.delivery import held

EVERY = 5  # seconds


class LostAcknowledgement(ConnectionLost):
    """Passes to the worker, which connects again."""


class Watch(StartStopStep):
    """A step of the worker's consumer, on the Redis transport only. It starts anew with each connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    timer = None

    def start(self, consumer: Any) -> None:
        self.timer = consumer.timer.call_repeatedly(EVERY, look, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self.timer:
            self.timer.cancel()


def look(consumer: Any) -> None:
    """Raises LostAcknowledgement if a message is counted as being worked on, and is not."""
    qos = consumer.task_consumer.channel.qos
    lost = set(qos._delivered) - set(qos._dirty) - {request.message.delivery_tag for request in held()}
    if lost:
        raise LostAcknowledgement(f"{len(lost)} messages were not acknowledged: the connection is made anew")
