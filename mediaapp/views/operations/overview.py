"""The overview of the person on call: what is wrong, since when, and what to do.

The page polls its live part. A part whose server is away is None, and says so in words.
"""

import time
from collections.abc import Callable
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
from workers import deadline
from workers.brokers import UNKNOWN
from workers.brokers.state import read_broker_state, read_queue_states_or_unknown
from workers.practices import backlog
from workers.queues import table
from workers.telemetry import liveness
from workers.telemetry.held_locks import held_locks
from workers.telemetry.pauses import paused_queues
from workers.telemetry.queue_flow import current_flows, queue_rows
from workers.telemetry.queue_samples import last_sample_at
from workers.telemetry.recurring_entries import recurring_entries
from workers.telemetry.waits import jobs_without_message

MIN_SECONDS = 0.3  # for the parts, if the findings took the time: the other servers' answers are quick
# What is asked of each server. Of the database's, those that ask the cache too come last: it may be silent.
DATABASE: dict[str, Callable[[], Any]] = {
    "pauses": paused_queues,
    "charts": findings.recent_charts,
    "flows": current_flows,
    "sampled_at": last_sample_at,
    "failures": failures_of_today,
    "entries": recurring_entries,
    "running": running_jobs,
    "in_rows": jobs_without_message,
    "oldest_waits": backlog.oldest_waits,
}
BROKER: dict[str, Callable[[], Any]] = {"broker": read_broker_state, "states": read_queue_states_or_unknown}
LOCKS: dict[str, Callable[[], Any]] = {
    "workers": lambda: (liveness.read_workers(), liveness.read_runs()),
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
    ends_at = time.monotonic() + deadline.DEADLINE_SECONDS
    board = findings.read_board()
    seconds_left = max(ends_at - time.monotonic(), MIN_SECONDS)
    parts = read_parts(DATABASE, BROKER, LOCKS, seconds=seconds_left)
    workers, running, waits = parts.pop("workers"), parts["running"], parts.pop("oldest_waits")
    states, flows = parts.pop("states") or dict.fromkeys(table().queues, UNKNOWN), parts.pop("flows") or {}
    jobs = running.jobs if running else ()
    slots = None if workers is None else slots_by_worker(workers[0], workers[1], jobs)
    in_rows = parts.pop("in_rows")
    rows = None if waits is None or in_rows is None else queue_rows(states, in_rows, waits, flows)
    heartbeats, pauses = workers[0] if workers else (), parts["pauses"] or {}
    paused_entries = [entry.pause for entry in parts["entries"] or () if entry.pause]
    return parts | {
        "board": board.with_charts(parts["charts"] or {}),
        "queues": None if rows is None else queue_cards(rows, slots, pauses, heartbeats),
        "all_pauses": [*pauses.values(), *paused_entries],
        "now": timezone.now(),
        "poll_after": POLL_SECONDS,
    }
