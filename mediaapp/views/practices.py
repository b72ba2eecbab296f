"""Everybody sees whether each of the nine practices holds; only staff see the figures."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from workers.capacity import connections
from workers.capacity.memory_proposals import memory_proposals
from workers.deadline import DEADLINE_SECONDS, run_with_deadline
from workers.practices import backlog, registry
from workers.storage import health
from workers.telemetry.held_locks import held_locks
from workers.telemetry.queue_flow import queue_rows
from workers.telemetry.recurring_entries import recurring_entries

MIN_SECONDS = 0.3  # for the tables, if a silent server has taken the time: the other servers' answers are quick
# The tables for staff, by their names in the template.
STAFF_TABLES: Mapping[str, Callable[[], Any]] = {
    "queues": lambda: queue_rows(backlog.oldest_waits()),
    "entries": recurring_entries,
    "held_locks": held_locks,
    "proposals": memory_proposals,
    "connections": connections.connections_table,
    "storage": health.verify,
}


@never_cache
@require_safe
def show_practices(request: HttpRequest) -> HttpResponse:
    """A table whose server is away is None."""
    staff, deadline = is_staff(request), time.monotonic() + DEADLINE_SECONDS
    findings = registry.finding_cache.read()
    outcomes = [finding.ok for _, finding in findings]
    count = {"holding": outcomes.count(True), "failing": outcomes.count(False), "unknown": outcomes.count(None)}
    seconds_left = max(deadline - time.monotonic(), MIN_SECONDS)
    answers = run_with_deadline(STAFF_TABLES, seconds=seconds_left) if staff else {}
    tables = {name: None if isinstance(answer, Exception) else answer for name, answer in answers.items()}
    return render(
        request, "practices/practices.html", {"findings": findings, "count": count, "is_staff": staff} | tables
    )


def is_staff(request: HttpRequest) -> bool:
    """False if the database is away."""
    try:
        return request.user.is_staff
    except Error:
        request.user = AnonymousUser()
        return False
