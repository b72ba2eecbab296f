"""A worker spends no connection on messages to other workers (docs/facts/celery.md#connections-per-worker).

The setting `worker_consumer` names this class: Celery 5.7 has no other setting for these options.
"""

from typing import Any

from celery.worker.consumer import Consumer

OPTIONS = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class QuietConsumer(Consumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["worker_options"] = kwargs["worker_options"] | OPTIONS
        super().__init__(*args, **kwargs)
