"""A worker keeps its messages invisible to other workers for as long as it lives, and no longer.

The fault: Redis delivers a message again once its visibility timeout has passed. A timeout below the longest task makes
copies of that task; above it, a killed worker's message is stuck for hours
(docs/facts/celery.md#visibility-timeout). Here the timeout is minutes, and a worker renews it four times in each, for
every message that it has not acknowledged (docs/facts/celery.md#lease-renewal).
Not public in kombu 5.7: `Channel.conn_or_acquire`, and `QoS.unacked_index_key`, a sorted set of delivery tags by the
time of their delivery.
"""

import time
from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker import state

# Longer than a restart of the broker and the reconnect: a message that is not renewed meanwhile runs twice.
VISIBILITY_TIMEOUT_SECONDS = 300


class VisibilityTimeoutRenewal(StartStopStep):
    """A step of the worker's consumer, for the Redis transport only. It restarts with each connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    timer = None

    def start(self, consumer: Any) -> None:
        renew_visibility_timeout(consumer)
        timeout = consumer.task_consumer.channel.qos.visibility_timeout
        self.timer = consumer.timer.call_repeatedly(timeout / 4, renew_visibility_timeout, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self.timer:
            self.timer.cancel()


def renew_visibility_timeout(consumer: Any) -> None:
    """Restarts the timeout of every message that this worker holds.

    An error of the connection passes to the worker, which connects again.
    """
    tags = {request.message.delivery_tag: time.time() for request in unacknowledged_requests()}
    channel = consumer.task_consumer.channel
    if tags:
        with channel.conn_or_acquire() as redis:
            # XX: adds no tag that was acknowledged a moment ago.
            redis.zadd(channel.qos.unacked_index_key, tags, xx=True)


def unacknowledged_requests() -> list[Any]:
    """The requests whose messages this worker has taken and not yet acknowledged."""
    scheduled: Any = state.scheduled_requests  # type: ignore[attr-defined]  # the stubs are older
    taken = {*state.reserved_requests, *state.active_requests, *scheduled}
    return [request for request in taken if not request.acknowledged]
