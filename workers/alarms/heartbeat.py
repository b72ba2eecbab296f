"""Pings HEARTBEAT_URL each minute while a beat samples the queues and one measures: silence rings outside of this site.

Not in the thread of the leader's callbacks, which a slow server would hold up.
"""

import logging
import time
from datetime import timedelta
from http.client import HTTPException

from django.conf import settings

from workers.alarms.http_client import RequestRejectedError, request
from workers.alarms.states import database_time, oldest_time, read_states
from workers.telemetry.queue_samples import last_sample_at

log = logging.getLogger(__name__)

MAX_AGE = timedelta(seconds=90)  # the leading beat takes a sample every 30 s, a monitor measures every 15 s
RETRY_SECONDS = 10  # after a ping that nobody answered


class OutsideHeartbeat:
    def __init__(self) -> None:
        self.due_at = 0.0  # by time.monotonic()

    def ping_if_due(self) -> None:
        """Raises DatabaseError: without the database, nobody works."""
        if time.monotonic() < self.due_at:
            return
        self.due_at = time.monotonic() + RETRY_SECONDS
        sampled, measured, now = last_sample_at(), oldest_time(read_states()), database_time()
        if not all(moment and abs(now - moment) <= MAX_AGE for moment in (sampled, measured)):
            log.warning("heartbeat_withheld sampled=%s measured=%s", sampled, measured)
            return
        try:
            request("GET", settings.HEARTBEAT_URL)
        except (RequestRejectedError, HTTPException, OSError) as error:
            log.warning("heartbeat_not_sent error=%r", error)
        else:
            self.due_at += settings.HEARTBEAT_SECONDS - RETRY_SECONDS
