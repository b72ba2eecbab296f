"""The nine practices, live. Everybody may see whether they hold; the figures are for staff."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from workers.capacity import connections
from workers.deadline import run_with_deadline
from workers.practices import backlog, locks, memory, registry
from workers.telemetry.recurring_entries import recurring_entries

# What stands below the nine, for staff, under the name that the template gives it.
TABLES: Mapping[str, Callable[[], Any]] = {
    "queues": backlog.overview,
    "entries": recurring_entries,
    "held": locks.held,
    "proposals": memory.proposals,
    "connections": connections.connections_table,
}


@never_cache
@require_safe
def show_practices(request: HttpRequest) -> HttpResponse:
    """Measured as the page is read, or up to registry.TTL seconds before."""
    staff = is_staff(request)
    found = registry.recent.read()
    holds = [finding.ok for _, finding in found]
    count = {"hold": holds.count(True), "do_not": holds.count(False), "unknown": holds.count(None)}
    answers = run_with_deadline(TABLES) if staff else {}
    tables = {name: None if isinstance(answer, Exception) else answer for name, answer in answers.items()}
    return render(request, "practices/practices.html", {"found": found, "count": count, "staff": staff} | tables)


def is_staff(request: HttpRequest) -> bool:
    """Whether the figures are for whoever asks. Without the database nobody is known, and the page is shown even so."""
    try:
        return request.user.is_staff
    except Error:
        request.user = AnonymousUser()
        return False
