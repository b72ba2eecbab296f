"""When the unanswered canary of each queue was sent (canaries.py): a mark in the cache.

Import no Django model here: the Celery app imports this module before Django's apps are loaded.
"""

from collections.abc import Collection

from django.core.cache import cache

KEY = "canary_{}"  # of a queue; by time.time()


def sent_at(queues: Collection[str]) -> dict[str, float]:
    """By queue, without those that have no canary. Empty while the cache is away."""
    found = cache.get_many([KEY.format(queue) for queue in queues])
    return {queue: found[KEY.format(queue)] for queue in queues if KEY.format(queue) in found}
