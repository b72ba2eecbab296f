"""Pings HEARTBEAT_URL each minute while a beat leads and samples the queues: silence rings outside of this site.

Not in the thread of the leader's callbacks, which a slow server would hold up.
"""

import logging
import time
from datetime import timedelta
from http.client import HTTPException

from django.conf import settings
from django.utils import timezone

from workers.alarms.http_client import RequestRejectedError, request
from workers.telemetry.queue_samples import last_sample_at

log = logging.getLogger(__name__)

MAX_SAMPLE_AGE = timedelta(seconds=90)  # the leading beat takes one every 30 s
RETRY_SECONDS = 10  # after a ping that nobody answered


class Heartbeat:
    def __init__(self) -> None:
        self.due_at = 0.0  # by time.monotonic()

    def ping_if_due(self) -> None:
        """Raises DatabaseError: without the database, nobody works."""
        if time.monotonic() < self.due_at:
            return
        self.due_at = time.monotonic() + RETRY_SECONDS
        sampled_at = last_sample_at()
        if sampled_at is None or timezone.now() - sampled_at > MAX_SAMPLE_AGE:
            log.warning("heartbeat_withheld sampled=%s", sampled_at)
            return
        try:
            request("GET", settings.HEARTBEAT_URL)
        except (RequestRejectedError, HTTPException, OSError) as error:
            log.warning("heartbeat_not_sent error=%r", error)
        else:
            self.due_at += settings.HEARTBEAT_SECONDS - RETRY_SECONDS
