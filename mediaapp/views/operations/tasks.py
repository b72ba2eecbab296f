"""A task: how often it runs, how long, what fails, and what the last deploys changed."""

from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.history.periods import PERIODS, chosen_period
from mediaapp.history.tasks import (
    compare_with_last_week,
    count_runs,
    newest_failures,
    ran_in_last_hour,
    slowest_runs,
    task_charts,
    task_history,
)
from mediaapp.operations.parts import read_parts
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.models import TaskHour
from workers.queues import table


@dataclass(frozen=True)
class TaskRow:
    """runs, failed: None if the database does not answer."""

    task: str
    queue: str
    runs: int | None
    failed: int | None


@never_cache
@require_safe
@staff_required
def show_tasks(request: AuthenticatedRequest) -> HttpResponse:
    parts = read_parts({"counts": count_runs})
    counts, unknown = parts["counts"] or {}, (None, None) if "counts" in parts["unread"] else (0, 0)
    rows = [
        TaskRow(task, queue.name, *counts.get(task, unknown))
        for queue in table().queues.values()
        for task in queue.tasks
    ]
    return render(request, "operations/tasks.html", parts | {"rows": rows})


@never_cache
@require_safe
@staff_required
def show_task(request: AuthenticatedRequest, name: str) -> HttpResponse:
    """Also of a task that only an older release had, while its hours are kept."""
    queue = table().routes.get(name, {}).get("queue", "")
    if not queue and ("\x00" in name or not TaskHour.objects.filter(task=name).exists()):
        raise Http404
    period = chosen_period(request)
    parts = read_parts(
        {
            "history": lambda: task_history(name, period),
            "speed": lambda: compare_with_last_week(name),
            "ran_lately": lambda: ran_in_last_hour(name),
            "slowest": lambda: slowest_runs(name, period),
            "failures": lambda: newest_failures(name),
        }
    )
    history = parts["history"]
    charts = task_charts(history) if history else []
    context = {"task": name, "queue": queue, "period": period, "periods": PERIODS.values(), "charts": charts}
    return render(request, "operations/task.html", context | parts)
