"""The overview of the person on call: what is wrong, since when, and what to do.

The page polls its live part. A part whose server is away is None, and says so in words.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.operations import findings
from mediaapp.operations.jobs_now import failures_of_today, running_jobs
from mediaapp.operations.parts import POLL_SECONDS, read_parts
from mediaapp.operations.queue_cards import queue_cards, slots_by_worker
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.brokers.state import read_broker_state
from workers.deadline import DEADLINE_SECONDS
from workers.practices import backlog
from workers.telemetry import liveness
from workers.telemetry.held_locks import held_locks
from workers.telemetry.pauses import paused_queues
from workers.telemetry.queue_flow import queue_rows
from workers.telemetry.queue_samples import last_sample_at
from workers.telemetry.recurring_entries import recurring_entries

MIN_SECONDS = 0.3  # for the parts, if the findings took the time: the other servers' answers are quick
PARTS: Mapping[str, Callable[[], Any]] = {
    "charts": findings.read_charts,
    "queues": lambda: (queue_rows(backlog.oldest_waits()), last_sample_at()),
    "pauses": paused_queues,
    "workers": lambda: (liveness.read_workers(), liveness.read_runs()),
    "running": running_jobs,
    "failures": failures_of_today,
    "broker": read_broker_state,
    "entries": recurring_entries,
    "held_locks": held_locks,
}


@never_cache
@require_safe
@staff_required
def show_overview(request: AuthenticatedRequest) -> HttpResponse:
    return render(request, "operations/overview.html", read_overview())


@never_cache
@require_safe
@staff_required
def show_live_part(request: AuthenticatedRequest) -> HttpResponse:
    return render(request, "operations/overview/_live.html", read_overview())


def read_overview() -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    board = findings.read_board()
    seconds_left = max(deadline - time.monotonic(), MIN_SECONDS)
    parts = read_parts(PARTS, seconds=seconds_left)
    rows, sampled_at = parts.pop("queues") or (None, None)
    workers, running = parts.pop("workers"), parts["running"]
    jobs = running.jobs if running else ()
    slots = None if workers is None else slots_by_worker(workers[0], workers[1], jobs)
    return parts | {
        "board": board.with_charts(parts["charts"] or {}),
        "queues": None
        if rows is None
        else queue_cards(rows, slots, parts["pauses"] or {}, workers[0] if workers else ()),
        "sampled_at": sampled_at,
        "now": timezone.now(),
        "poll_after": POLL_SECONDS,
    }
