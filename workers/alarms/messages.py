"""Sends each message of an incident once on each channel.

A row is claimed before its message is sent. A failed send releases it; a claim whose process died ends by itself, and
the message goes out again under the same id, by which mail programs and receivers drop the second one.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from workers.alarms.states import database_time
from workers.models import AlarmMessage

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2  # between two looks for messages
CLAIM_SECONDS = 300  # until the message of a dead process is sent again; a send ends before
RETRY_SECONDS, MAX_RETRY_SECONDS = 10, 300  # the first pause after a failed send doubles
GIVE_UP = timedelta(days=1)


def send_due(channel: str, send: Callable[[AlarmMessage], object]) -> None:
    """Until nothing is due, or until a send fails. Raises DatabaseError."""
    while message := _claim_next(channel):
        own_claim = AlarmMessage.objects.filter(pk=message.pk, claimed_at=message.claimed_at)
        try:
            send(message)
        except Exception as error:  # whatever it was: the message is due again later
            pause = min(RETRY_SECONDS * 2**message.failures, MAX_RETRY_SECONDS)
            retry_at = database_time() + timedelta(seconds=pause)
            own_claim.update(claimed_at=None, failures=message.failures + 1, not_before=retry_at)
            log.warning("alarm_not_sent channel=%s message=%s error=%r", channel, message.key, error)
            return
        own_claim.update(sent_at=Now())
        log.info("alarm_sent channel=%s message=%s", channel, message.key)


def _claim_next(channel: str) -> AlarmMessage | None:
    """An alarm goes before its recovery. By the clock of the database: the claim of another host must not seem old."""
    now = database_time()
    earlier = AlarmMessage.objects.filter(
        incident=OuterRef("incident"), channel=channel, sent_at=None, pk__lt=OuterRef("pk")
    )
    is_free = Q(claimed_at=None) | Q(claimed_at__lt=now - timedelta(seconds=CLAIM_SECONDS))
    is_due = Q(not_before=None) | Q(not_before__lte=now)
    waiting = AlarmMessage.objects.filter(is_free, is_due, ~Exists(earlier), channel=channel, sent_at=None)
    for message in waiting.filter(created_at__gt=now - GIVE_UP).select_related("incident").order_by("pk")[:10]:
        unclaimed = AlarmMessage.objects.filter(pk=message.pk, claimed_at=message.claimed_at, sent_at=None)
        if unclaimed.update(claimed_at=now):
            message.claimed_at = now
            return message
    return None
