"""A worker without gossip, mingle and event heartbeats, which cost connections to the broker.

See docs/facts/celery.md#connections-per-worker. Celery 5.7 has no settings for them, so `worker_consumer` names this
class.
"""

from typing import Any

from celery.worker.consumer import Consumer

OPTIONS = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class QuietConsumer(Consumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["worker_options"] = kwargs["worker_options"] | OPTIONS
        super().__init__(*args, **kwargs)
