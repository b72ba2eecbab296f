"""Measures the nine practices every few seconds, in each beat process, independent of beat's loop and lead.

The lead needs the server of the locks, and the loop may wait for the broker: the monitor goes on without both. Of
several beats, the one that claims a round measures it.
"""

import time
from dataclasses import replace
from datetime import timedelta
from threading import BoundedSemaphore

from django.conf import settings
from django.db import transaction

from workers import log_context
from workers.alarms import heartbeat, incidents, mail, messages, states, webhook
from workers.alarms.deploys import ReleaseRecorder
from workers.alarms.threads import start_thread
from workers.capacity.connections import MONITOR_MEASUREMENTS
from workers.practices import Finding, registry
from workers.telemetry.queue_samples import was_sampled

MEASURE_SECONDS = 10  # the deadline of the nine measurements together
# At the start of a site, until workers are up: beat has sampled for LED_SECONDS, or START_ROUNDS have passed.
LED_SECONDS, START_ROUNDS = 30, 4
SLOTS = BoundedSemaphore(MONITOR_MEASUREMENTS)


def start() -> None:
    """Starts the threads of the monitor: one that measures, and one for each way out."""
    monitor = Monitor()
    start_thread("monitor", min(1, settings.MONITOR_SECONDS / 4), monitor.run_round)
    start_thread("alarm mail", messages.PAUSE_SECONDS, lambda: messages.send_due("mail", mail.send))
    if settings.ALERT_WEBHOOK_URL:
        start_thread("alarm webhook", messages.PAUSE_SECONDS, lambda: messages.send_due("webhook", webhook.send))
    if settings.HEARTBEAT_URL:
        start_thread("outside heartbeat", 1, heartbeat.OutsideHeartbeat().ping_if_due)


class Monitor:
    def __init__(self) -> None:
        self.releases = ReleaseRecorder()
        self.begins_at: float = time.monotonic() + START_ROUNDS * settings.MONITOR_SECONDS

    def run_round(self) -> bool:
        """False if no round is due, or another beat has claimed it. Raises DatabaseError."""
        if not self._has_begun() or not states.claim_round(timedelta(seconds=settings.MONITOR_SECONDS)):
            return False
        self.releases.record()
        measured = registry.verify_all(SLOTS, seconds=MEASURE_SECONDS)
        findings = [(practice, _anonymize(finding)) for practice, finding in measured]
        now = states.database_time()
        with transaction.atomic():
            states.store(findings, now)
            for practice, finding in findings:
                incidents.update(practice.number, finding, now)
        incidents.raise_due(now)
        return True

    def _has_begun(self) -> bool:
        if time.monotonic() < self.begins_at and was_sampled(timedelta(seconds=LED_SECONDS)):
            self.begins_at = 0.0
        return time.monotonic() >= self.begins_at


def _anonymize(finding: Finding) -> Finding:
    """What is stored leaves the site: by mail, to the webhook, to who asks /healthz/practices."""
    summary, reason = log_context.anonymize(finding.summary), log_context.anonymize(finding.reason)
    return replace(finding, summary=summary, reason=reason)
