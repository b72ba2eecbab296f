"""A task: how often it runs, how long, what fails, and what the last deploys changed."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.history.periods import PERIODS, chosen_period
from mediaapp.history.tasks import compare_with_last_week, newest_failures, slowest_runs, task_charts, task_history
from mediaapp.operations.parts import read_parts
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.models import TaskHour
from workers.queues import table


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
            "slowest": lambda: slowest_runs(name, period),
            "failures": lambda: newest_failures(name),
        }
    )
    history = parts["history"]
    charts = task_charts(history) if history else []
    context = {"task": name, "queue": queue, "period": period, "periods": PERIODS.values(), "charts": charts}
    return render(request, "operations/task.html", context | parts)
