"""A worker keeps no connection to the broker for messages to other workers.

The fault: gossip, mingle and event heartbeats cost a worker 6 of its 10 connections to Redis
(docs/facts/celery.md#connections-per-worker), and nothing here reads them. Celery 5.7 has only three command-line
options for them. Here the setting `worker_consumer` switches them off for every worker of the app.
"""

from typing import Any

from celery.worker.consumer import Consumer

OPTIONS = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class QuietConsumer(Consumer):
    """Celery's consumer, as with --without-gossip --without-mingle --without-heartbeat."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["worker_options"] = kwargs["worker_options"] | OPTIONS
        super().__init__(*args, **kwargs)
