"""The life of an incident: a practice does not hold, has not held for its time, holds again, has held for a while.

Unknown counts as "does not hold". An incident that ends and begins again before its recovery was told goes on as the
same one: nothing is told twice.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from workers.alarms import deploys
from workers.models import AlarmMessage, Incident
from workers.practices import Finding

log = logging.getLogger(__name__)

MAX_GAP = timedelta(seconds=60)  # without a measurement: the time of an alarm then counts anew
DELETE_ROWS = 1_000


def update(number: int, finding: Finding, now: datetime) -> None:
    """number: of the practice. Raises DatabaseError."""
    seen = {"seen_at": now, "ok": finding.ok, "summary": finding.summary, "reason": finding.reason}
    incident = Incident.objects.filter(number=number, ended_at=None).first()
    if finding.ok:
        if incident:
            Incident.objects.filter(pk=incident.pk, ended_at=None).update(ended_at=now, seen_at=now)
        return
    if incident := incident or _find_unsettled(number, now):
        max_gap = max(MAX_GAP, _recovery()) if incident.ended_at else MAX_GAP
        anew = {"watched_since": now} if now - incident.seen_at > max_gap else {}
        # On a condition: another monitor may tell its recovery at this moment.
        if Incident.objects.filter(pk=incident.pk, recovery_sent_at=None).update(ended_at=None, **seen, **anew):
            return
    start = {"began_at": now, "watched_since": now}
    Incident.objects.get_or_create(number=number, ended_at=None, defaults=start | seen)


def _find_unsettled(number: int, now: datetime) -> Incident | None:
    """The last incident, if its end is too young, or if its recovery is still to be told."""
    last = Incident.objects.filter(number=number).order_by("-began_at").first()
    if last is None or last.ended_at is None or last.recovery_sent_at:
        return None
    is_young = last.ended_at > now - _recovery()
    return last if is_young or last.alerted_at else None


def raise_due(now: datetime) -> None:
    """Hands the alarms and recoveries that are due to the channels. Raises DatabaseError."""
    for incident in Incident.objects.filter(ended_at=None, alerted_at=None):
        if _is_due(incident, now):
            _raise(incident, AlarmMessage.Kind.ALARM, now)
    alerted = Incident.objects.filter(alerted_at__isnull=False, recovery_sent_at=None)
    for incident in alerted.filter(ended_at__lte=now - _recovery()):
        _raise(incident, AlarmMessage.Kind.RECOVERY, now)


def lasting(now: datetime) -> set[int]:
    """The numbers of the practices that have not held for the time of their alarm. Raises DatabaseError."""
    return {each.number for each in Incident.objects.filter(ended_at=None) if each.alerted_at or _is_lasting(each, now)}


def _is_lasting(incident: Incident, now: datetime) -> bool:
    """False while a new release may still be starting."""
    after = settings.ALERT_AFTER_SECONDS[incident.number]
    has_lasted = bool(after) and incident.seen_at - incident.watched_since >= _seconds(after)
    return has_lasted and not deploys.is_young(now)


def _is_due(incident: Incident, now: datetime) -> bool:
    if not _is_lasting(incident, now):
        return False
    repeated = Incident.objects.filter(
        number=incident.number, alerted_at__gt=now - _seconds(settings.ALERT_REPEAT_SECONDS)
    )
    return not repeated.exists()


def _raise(incident: Incident, kind: str, now: datetime) -> None:
    """Once, however many monitors try: the row is updated on a condition."""
    row = Incident.objects.filter(pk=incident.pk)
    with transaction.atomic():
        if kind == AlarmMessage.Kind.ALARM:
            raised = row.filter(alerted_at=None, ended_at=None).update(alerted_at=now)
        else:
            raised = row.filter(recovery_sent_at=None, ended_at__isnull=False).update(recovery_sent_at=now)
        if raised:
            messages = (AlarmMessage(incident=incident, kind=kind, channel=channel) for channel in channels())
            AlarmMessage.objects.bulk_create(messages)
            log.warning("alarm_raised practice=%s kind=%s", incident.number, kind)


def channels() -> list[str]:
    return ["mail", *(["webhook"] if settings.ALERT_WEBHOOK_URL else [])]


def delete_old_incidents() -> int:
    """Deletes one chunk, with the messages."""
    old = Incident.objects.filter(ended_at__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS))
    return Incident.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]


def _recovery() -> timedelta:
    """For so long a practice holds again before its incident is over."""
    return _seconds(settings.ALERT_RECOVERY_SECONDS)


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
