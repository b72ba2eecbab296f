"""The state of each recurring entry in the database: all that are enabled or paused, and the code's own."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery import current_app
from django.db.models import Count, Q
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from workers.models import Pause, TaskRun
from workers.queues import table
from workers.schedule import find_problems
from workers.telemetry.pauses import paused_entries, paused_queues

LATE_AFTER = 60  # seconds that a run may be overdue
DISABLED = "It is disabled and does not run. The leading beat enables it within seconds: is it up?"


@dataclass(frozen=True)
class RecurringEntry:
    """id: of its row. expired, refused: the task's runs of the last day that did not happen.

    is_late: never while its queue is paused, because beat sends nothing while the last message waits.
    """

    id: int
    name: str
    task: str
    last_sent: datetime | None
    next_run: datetime | None
    is_late: bool
    expired: int
    refused: int
    problem: str
    pause: Pause | None = None
    queue_pause: Pause | None = None


def recurring_entries() -> list[RecurringEntry]:
    paused, queues = paused_entries(), paused_queues()
    names = current_app.conf.beat_schedule.keys() | paused.keys()
    shown = PeriodicTask.objects.filter(Q(enabled=True) | Q(name__in=names))
    rows = shown.select_related("interval", "crontab", "solar", "clocked").order_by("name")
    skipped = _count_skipped(row.task for row in rows)
    return [_read(row, *skipped.get(row.task, (0, 0)), paused.get(row.name), queues.get(queue_of(row))) for row in rows]


def queue_of(row: PeriodicTask) -> str:
    """Empty for a task that the table does not have."""
    return str(row.queue or table().routes.get(row.task, {}).get("queue", ""))


def entries_of_queue(name: str) -> list[PeriodicTask]:
    """Those that beat sends into it."""
    return [row for row in PeriodicTask.objects.filter(enabled=True).order_by("name") if queue_of(row) == name]


def missing_entries() -> list[str]:
    """The names of the code's entries that are not in the database."""
    written = PeriodicTask.objects.filter(name__in=current_app.conf.beat_schedule).values_list("name", flat=True)
    return sorted(current_app.conf.beat_schedule.keys() - set(written))


def _read(
    row: PeriodicTask, expired: int, refused: int, pause: Pause | None, queue_pause: Pause | None
) -> RecurringEntry:
    due_in = row.schedule.remaining_estimate(row.last_run_at or row.date_changed)
    problems = find_problems(row).values() if row.enabled or pause else [DISABLED]
    return RecurringEntry(
        id=row.pk,
        name=row.name,
        task=row.task,
        last_sent=row.last_run_at,
        next_run=timezone.now() + due_in if row.enabled else None,
        is_late=row.enabled and not queue_pause and due_in.total_seconds() < -LATE_AFTER,
        expired=expired,
        refused=refused,
        problem=" ".join(problems),
        pause=pause,
        queue_pause=queue_pause,
    )


def _count_skipped(tasks: Iterable[str]) -> dict[str, tuple[int, int]]:
    since = timezone.now() - timedelta(days=1)
    runs = TaskRun.objects.filter(ended_at__gt=since, task__in=set(tasks))
    expired, refused = TaskRun.Outcome.EXPIRED, TaskRun.Outcome.REFUSED
    counts = (
        runs.filter(outcome__in=[expired, refused])
        .values_list("task")
        .annotate(expired=Count("pk", filter=Q(outcome=expired)), refused=Count("pk", filter=Q(outcome=refused)))
    )
    return {task: (expired, refused) for task, expired, refused in counts}
