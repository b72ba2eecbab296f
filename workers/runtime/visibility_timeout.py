"""A worker keeps its messages invisible to other workers for as long as it lives, and no longer.

A fixed timeout below the longest task makes copies of the task; a longer one keeps a killed worker's message for hours
(docs/facts/celery.md#visibility-timeout). So it is minutes, and renewed (docs/facts/celery.md#lease-renewal).
Not public in kombu 5.7: `Channel.conn_or_acquire`, and `QoS.unacked_index_key`, a sorted set of delivery tags by
delivery time.
"""

import time
from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker import state

# Longer than a restart of the broker and the reconnect: a message that is not renewed meanwhile runs twice.
VISIBILITY_TIMEOUT_SECONDS = 300


class VisibilityTimeoutRenewal(StartStopStep):
    """For the Redis transport only."""

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
    """An error of the connection passes to the worker, which connects again."""
    tags = {request.message.delivery_tag: time.time() for request in unacknowledged_requests()}
    channel = consumer.task_consumer.channel
    if tags:
        with channel.conn_or_acquire() as redis:
            # XX: adds no tag that was acknowledged a moment ago.
            redis.zadd(channel.qos.unacked_index_key, tags, xx=True)


def unacknowledged_requests() -> list[Any]:
    scheduled: Any = state.scheduled_requests  # type: ignore[attr-defined]  # the stubs are older
    taken = {*state.reserved_requests, *state.active_requests, *scheduled}
    return [request for request in taken if not request.acknowledged]
