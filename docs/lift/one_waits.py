"""Beat sends an entry when a worker has taken its last message (docs/5-expires.md). One entry for each task."""

import logging

from celery import current_app
from celery.signals import task_received, task_revoked
from django.core.cache import cache
from django_celery_beat.schedulers import DatabaseScheduler

log = logging.getLogger(__name__)
MARK, MARK_SECONDS = "pending:{}", 3600  # after that, one more is sent: the last one may be lost


class OneWaits(DatabaseScheduler):
    def apply_entry(self, entry, producer=None):
        if may_send(entry):
            super().apply_entry(entry, producer)
        else:
            log.info("beat_entry_skipped entry=%r", entry.name)


def may_send(entry):
    try:
        return cache.add(MARK.format(entry.task), 1, MARK_SECONDS) or not count_waiting(entry)
    except Exception:  # no answer, or no such queue yet: one message too many does less harm than one too few
        return True


def count_waiting(entry):
    queue = current_app.amqp.router.route(dict(entry.options), entry.task)["queue"]
    with current_app.connection_for_read() as connection:
        return connection.channel().queue_declare(queue.name, passive=True).message_count


@task_received.connect
def clear(request, **_):
    cache.delete(MARK.format(request.name))


@task_revoked.connect
def clear_expired(sender, **_):
    cache.delete(MARK.format(sender.name))
