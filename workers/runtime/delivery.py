"""A message that a worker holds stays its own for as long as the worker lives, and no longer.

The fault: Redis has no connection to a consumer that it could lose, so kombu delivers a message again once the
`visibility_timeout` has passed. Shorter than the longest task it makes copies of that task every few minutes; longer, a
killed worker's message is stuck for hours (docs/facts/celery.md#visibility-timeout,
docs/facts/celery.md#lease-renewal). Here the timeout is minutes, and a worker puts it back to its full length four
times in each, for every message that it has taken and not yet acknowledged.
Not public in kombu 5.7: `Channel.conn_or_acquire`, and `QoS.unacked_index_key`, a sorted set of delivery tags by the
time of their delivery.
"""

import time
from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker import state

# Longer than a restart of the broker and the way back to it: what is not renewed meanwhile runs twice.
VISIBILITY_TIMEOUT = 300  # seconds


class Renewal(StartStopStep):
    """A step of the worker's consumer, on the Redis transport only. It starts anew with each connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    timer = None

    def start(self, consumer: Any) -> None:
        renew(consumer)
        timeout = consumer.task_consumer.channel.qos.visibility_timeout
        self.timer = consumer.timer.call_repeatedly(timeout / 4, renew, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self.timer:
            self.timer.cancel()


def renew(consumer: Any) -> None:
    """Counts the timeout of every message in this worker's hands from now on.

    An error of the connection passes to the worker, which connects again.
    """
    tags = {request.message.delivery_tag: time.time() for request in held()}
    channel = consumer.task_consumer.channel
    if tags:
        with channel.conn_or_acquire() as redis:
            # XX: not for one that was acknowledged a moment ago.
            redis.zadd(channel.qos.unacked_index_key, tags, xx=True)


def held() -> list[Any]:
    """The requests whose messages this worker has taken and not yet acknowledged."""
    waiting: Any = state.scheduled_requests  # type: ignore[attr-defined]  # the stubs are older
    taken = {*state.reserved_requests, *state.active_requests, *waiting}
    return [request for request in taken if not request.acknowledged]
