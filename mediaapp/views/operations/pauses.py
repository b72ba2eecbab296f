"""Pause and resume a queue or a recurring entry, and run an entry now. Each is written to the action log."""

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from django_celery_beat.models import PeriodicTask
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mediaapp.operations import action_log
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.models import Pause
from workers.queues import table
from workers.telemetry import entry_actions, pauses
from workers.telemetry.recurring_entries import entries_of_queue, queue_of

SOON = "within 5 s"
LATER = "once the server of the locks answers again, where they read it: it does not answer now"
# What stops with a recurring entry, or with its queue, by the task.
STOPS = {
    "workers.default.tasks.sweep_jobs": "Lost messages are not found meanwhile, and what the broker refused waits.",
    "workers.default.tasks.collect_runs": "No run is recorded until then: charts have a gap.",
    "workers.highmem.tasks.roll_up_runs": "Charts of 30 days and more stand still.",
    "workers.highmem.tasks.delete_old": "Nothing that is old is deleted.",
}


@staff_required
@require_POST
def pause_queue(request: AuthenticatedRequest, name: str) -> HttpResponse:
    _check_queue(name)
    with transaction.atomic():
        is_new = pauses.pause(Pause.Kind.QUEUE, name, by=request.user.get_username())
        if is_new:
            action_log.record(request, "pause_queue", name)
    if is_new:
        sentence = f"The queue {name} is paused: its workers stop taking its jobs {{when}}. What runs, runs to its end."
    else:
        sentence = f"The queue {name} was paused before."
    _copy_and_say(request, " ".join([sentence, *_stops_with(name)]))
    return _back(request)


@staff_required
@require_POST
def resume_queue(request: AuthenticatedRequest, name: str) -> HttpResponse:
    _check_queue(name)
    with transaction.atomic():
        was_paused = pauses.resume(Pause.Kind.QUEUE, name)
        if was_paused:
            action_log.record(request, "resume_queue", name)
    if was_paused:
        sentence = f"The queue {name} is resumed: its workers take its jobs again {{when}}."
    else:
        sentence = f"The queue {name} was not paused."
    _copy_and_say(request, sentence)
    return _back(request)


@staff_required
@require_POST
def pause_entry(request: AuthenticatedRequest, entry_id: int) -> HttpResponse:
    entry = get_object_or_404(PeriodicTask, pk=entry_id)
    with transaction.atomic():
        if is_new := entry_actions.pause_entry(entry, by=request.user.get_username()):
            action_log.record(request, "pause_entry", entry.name)
    done = f"{entry.name} is paused: beat does not send it."
    done = done if is_new else f"{entry.name} was paused or disabled before."
    messages.info(request, " ".join([done, *_stops([entry])]))
    return _back(request)


@staff_required
@require_POST
def resume_entry(request: AuthenticatedRequest, entry_id: int) -> HttpResponse:
    entry = get_object_or_404(PeriodicTask, pk=entry_id)
    with transaction.atomic():
        if was_paused := entry_actions.resume_entry(entry.name):
            action_log.record(request, "resume_entry", entry.name)
    done = f"{entry.name} is resumed: beat sends it at its next time. What it missed is not made up for."
    messages.info(request, done if was_paused else f"{entry.name} was not paused.")
    return _back(request)


@staff_required
@require_POST
def run_entry(request: AuthenticatedRequest, entry_id: int) -> HttpResponse:
    entry = get_object_or_404(PeriodicTask, pk=entry_id)
    with transaction.atomic():
        action_log.record(request, "run_entry", entry.name)
        try:
            entry_actions.run_entry(entry)
        except (OperationalError, OSError):
            transaction.set_rollback(True)
            messages.error(request, f"{entry.name} was not sent: the broker does not answer. Try again.")
            return _back(request)
    sent = f"{entry.name} was sent. If another run holds its lock, this one is skipped."
    if pause := pauses.paused_queues().get(queue_of(entry)):
        sent = f"{entry.name} was sent, and waits: {pause.sentence}."
    messages.success(request, sent)
    return _back(request)


def _check_queue(name: str) -> None:
    """Raises Http404."""
    if name not in table().queues:
        raise Http404


def _stops_with(queue: str) -> list[str]:
    """Sentences about the recurring tasks that wait with it."""
    entries = entries_of_queue(queue)
    if not entries:
        return []
    names = ", ".join(entry.name for entry in entries)
    return [f"With it stop: {names}.", *_stops(entries)]


def _stops(entries: list[PeriodicTask]) -> list[str]:
    return [STOPS[entry.task] for entry in entries if entry.task in STOPS]


def _copy_and_say(request: HttpRequest, sentence: str) -> None:
    """sentence: with {when} for the time at which the workers follow."""
    try:
        pauses.write_copy()
    except RedisError:
        messages.warning(request, sentence.replace("{when}", LATER))
    else:
        messages.info(request, sentence.replace("{when}", SOON))


def _back(request: HttpRequest) -> HttpResponse:
    """To the page with the button."""
    page = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(page if is_ours else reverse("operations"))
