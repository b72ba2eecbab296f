"""Workers: which are alive, how busy they are, and what they run; which beat leads, and which queues are paused."""

import time
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.operations.parts import POLL_SECONDS, read_parts
from mediaapp.permissions import staff_required
from workers.practices.recurring import HEARTBEAT
from workers.queues import table
from workers.telemetry import liveness
from workers.telemetry.held_locks import BEAT, HeldLock, held_locks
from workers.telemetry.liveness import Worker, WorkerLoad
from workers.telemetry.pauses import paused_queues


@dataclass(frozen=True)
class WorkerRow:
    """load: None for a worker of an older release. runs: of a second and more, the longest first."""

    worker: Worker
    load: WorkerLoad | None
    runs: list[dict[str, Any]]

    @property
    def age_seconds(self) -> float:
        """Of a silent one: until its last sign of life."""
        return (self.worker.beat_at if self.worker.is_silent else time.time()) - self.worker.started_at


@dataclass(frozen=True)
class Workers:
    """missing: the workers of the table of which none gives a sign of life."""

    rows: list[WorkerRow]
    missing: list[str]


@dataclass(frozen=True)
class LeadingBeat:
    """tick_seconds: since its last tick; None if the cache does not say."""

    lock: HeldLock
    tick_seconds: float | None


@never_cache
@require_safe
@staff_required
def show_workers(request: HttpRequest) -> HttpResponse:
    return render(request, "operations/workers.html", read_page())


@never_cache
@require_safe
@staff_required
def show_live_part(request: HttpRequest) -> HttpResponse:
    return render(request, "operations/_workers_live.html", read_page())


def read_page() -> dict[str, Any]:
    parts = read_parts({"workers": read_workers, "beat": read_beat}, {"pauses": paused_queues})
    return parts | {"now_at": timezone.now(), "poll_after": POLL_SECONDS}


def read_workers() -> Workers:
    """The living ones, and the silent ones that nobody has replaced. Raises RedisError."""
    workers, runs = liveness.read_workers(), liveness.read_runs()
    shown = [worker for worker in workers if not worker.is_silent] + liveness.not_replaced(workers)
    kinds = [worker.name for worker in table().workers]
    shown.sort(key=lambda each: (kinds.index(each.kind) if each.kind in kinds else len(kinds), each.name))
    living = {worker.kind for worker in shown if not worker.is_silent}
    loads = zip(shown, liveness.read_loads(shown), strict=True)
    rows = [WorkerRow(worker, load, _runs_of(worker, runs)) for worker, load in loads]
    return Workers(rows, [kind for kind in kinds if kind not in living])


def _runs_of(worker: Worker, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that still give a sign of life, as long as their worker does."""
    own = [run for run in runs if run["worker"] == worker.name]
    return sorted((run for run in own if not _is_over(run)), key=lambda run: -run["run_seconds"])


def _is_over(run: dict[str, Any]) -> bool:
    return bool(run["silent_seconds"] > liveness.SILENT_SECONDS)


def read_beat() -> LeadingBeat | None:
    """None if no beat leads. Raises RedisError."""
    lock = next((lock for lock in held_locks() if lock.name == BEAT), None)
    tick = cache.get(HEARTBEAT)
    return LeadingBeat(lock, time.time() - tick["at"] if tick else None) if lock else None
