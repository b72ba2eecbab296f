"""What staff do to a recurring entry: pause it, resume it, run it now."""

from celery import current_app
from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import ModelEntry

from workers.brokers.producers import acquire_producer
from workers.models import Pause
from workers.telemetry import pauses


def pause_entry(row: PeriodicTask, by: str) -> bool:
    """False if it was paused before, or disabled: a resume would enable it. Beat enables what the code has."""
    if not row.enabled and row.name not in current_app.conf.beat_schedule:
        return False
    is_new = pauses.pause(Pause.Kind.ENTRY, row.name, by)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    transaction.on_commit(PeriodicTasks.update_changed)  # beat reads the schedule anew
    return is_new


def resume_entry(name: str) -> bool:
    """False if it was not paused. Its interval begins now: else beat would send a missed run at once."""
    if was_paused := pauses.resume(Pause.Kind.ENTRY, name):
        PeriodicTask.objects.filter(name=name).update(enabled=True, last_run_at=timezone.now())
        transaction.on_commit(PeriodicTasks.update_changed)
    return was_paused


def run_entry(row: PeriodicTask) -> None:
    """Sends its task now, as beat does. Raises kombu's OperationalError or OSError."""
    entry = ModelEntry(row, app=current_app)
    with acquire_producer() as producer:
        message = {"args": entry.args, "kwargs": entry.kwargs} | entry.options
        current_app.send_task(entry.task, producer=producer, retry=False, **message)
