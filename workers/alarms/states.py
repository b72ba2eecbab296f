"""The newest finding of each practice, and its samples for charts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from workers.alarms.incidents import MAX_GAP
from workers.models import FindingSample, PracticeState
from workers.practices.registry import PRACTICES, Findings

SAMPLE_SECONDS = 60
NEVER = datetime.fromtimestamp(0, tz=UTC)
DELETE_ROWS = 10_000  # of one statement


def claim_round(interval: timedelta) -> bool:
    """Whether this process is to measure now: one process in each interval. Raises DatabaseError.

    By the clock of the database. A time in the future, which a wrong clock left, claims nothing.
    """
    is_due = Q(measured_at__lte=Now() - interval) | Q(measured_at__gt=Now() + interval)
    due = PracticeState.objects.filter(is_due, number=PRACTICES[0].number)
    if due.update(measured_at=Now()):
        return True
    if len(read_states()) < len(PRACTICES):
        rows = [PracticeState(number=each.number, ok=None, since=Now(), measured_at=NEVER) for each in PRACTICES]
        PracticeState.objects.bulk_create(rows, ignore_conflicts=True)
        return bool(due.update(measured_at=Now()))
    return False


def database_time() -> datetime:
    """The clock of all monitors: a host's own may be wrong. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def read_states() -> dict[int, PracticeState]:
    """By number, without what another release measured. Raises DatabaseError."""
    return PracticeState.objects.in_bulk([practice.number for practice in PRACTICES])


def oldest_time(states: Mapping[int, PracticeState]) -> datetime | None:
    """When all were last measured: the newest time of one may be a claim whose process died."""
    return min((state.measured_at for state in states.values()), default=None)


def store(findings: Findings, now: datetime) -> None:
    """Raises DatabaseError. What holds, holds since the last gap at most; an incident goes on over a gap."""
    last = oldest_time(read_states())
    is_after_gap = last is None or now - last > MAX_GAP
    for practice, finding in findings:
        row = PracticeState.objects.filter(number=practice.number)
        measured = {"summary": finding.summary, "reason": finding.reason, "figure": finding.figure, "measured_at": now}
        if (is_after_gap and finding.ok) or not row.filter(ok=finding.ok).update(**measured):
            row.update(ok=finding.ok, since=now, **measured)
    _store_samples(findings, now)


def _store_samples(findings: Findings, now: datetime) -> None:
    almost = timedelta(seconds=SAMPLE_SECONDS - settings.MONITOR_SECONDS / 2)  # rounds are not a minute to the dot
    young = FindingSample.objects.filter(number=findings[0][0].number, taken_at__range=(now - almost, now))
    if not young.exists():
        FindingSample.objects.bulk_create(
            FindingSample(number=practice.number, taken_at=now, ok=finding.ok, figure=finding.figure)
            for practice, finding in findings
        )


def delete_old_findings() -> int:
    """Deletes one chunk of one practice."""
    first_kept = timezone.now() - timedelta(days=settings.KEEP_RUNS_DAYS)
    for practice in PRACTICES:  # the index begins with the number
        old = FindingSample.objects.filter(number=practice.number, taken_at__lt=first_kept)
        if ids := list(old.order_by("taken_at").values_list("pk", flat=True)[:DELETE_ROWS]):
            return FindingSample.objects.filter(pk__in=ids).delete()[0]
    return 0
