"""A worker keeps no connection to the broker for talk with other workers.

The fault: gossip, mingle and event heartbeats cost a worker 6 of its 10 connections to Redis
(docs/facts/celery.md#connections-per-worker), and nothing here listens to them. Celery 5.7 has no setting for them,
only three options that every line of the Procfile would have to repeat. Here they are off for every worker of the app,
by its setting `worker_consumer`.
"""

from typing import Any

from celery.worker import consumer

WITHOUT = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class Consumer(consumer.Consumer):
    """Celery's consumer, as with --without-gossip --without-mingle --without-heartbeat."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["worker_options"] = kwargs["worker_options"] | WITHOUT
        super().__init__(*args, **kwargs)
