"""A retry or cancel of many jobs: says what will happen, then starts the job that does it."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from mediaapp.job_search import select
from mediaapp.job_search.find import TooSlowError
from mediaapp.job_search.query import read_query
from mediaapp.permissions import AuthenticatedRequest, staff_required
from mediaapp.views.operations.jobs import TOO_SLOW
from workers.queues import table
from workers.telemetry.pauses import paused_queues

NOTHING_CHOSEN = "Nothing was chosen. Tick some jobs, or choose all that match."
NOTHING_TO_DO = {
    "retry": "None of them failed or was cancelled, so there is nothing to try again.",
    "cancel": "All of them have ended, so there is nothing to cancel.",
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def change_jobs(request: AuthenticatedRequest) -> HttpResponse:
    """change: retry or cancel, of the jobs of `id`, or with `all` of those that match `q`."""
    chosen: QueryDict = request.POST if request.method == "POST" else request.GET
    change, text = chosen.get("change", ""), chosen.get("q", "").replace("\x00", "").strip()
    if change not in select.STATES:
        raise Http404
    ids, query = ([], read_query(text)) if "all" in chosen else (read_ids(chosen.getlist("id")), read_query(""))
    if query.problems or not (ids or "all" in chosen):
        return back(request, text, *(query.problems or [NOTHING_CHOSEN]))
    try:
        if request.method == "POST":
            words = f"chosen one by one ({len(ids)})" if ids else text or "all"
            return redirect("job", select.start_change(request, change, query, ids, words).pk)
        selection = select.preview(change, query, ids)
    except TooSlowError:
        return back(request, text, TOO_SLOW)
    except select.NothingSelectedError:
        return back(request, text, NOTHING_TO_DO[change])
    if not selection.total and not selection.left_out:
        return back(request, text, NOTHING_TO_DO[change])
    context = {"change": change, "query": text, "ids": ids, "selection": selection, "max": select.MAX_SELECTED}
    pauses = paused_queues()
    context |= {
        "queues": [(name, count, pauses.get(name)) for name, count in selection.queues.items()],
        "in_turns": [name for name, queue in table().queues.items() if name in selection.queues and queue.in_turns],
    }
    return render(request, "operations/jobs/change.html", context)


def back(request: AuthenticatedRequest, text: str, *sentences: str) -> HttpResponse:
    for sentence in sentences:
        messages.info(request, sentence)
    return redirect(f"{reverse('operations_jobs')}?{urlencode({'q': text})}")


def read_ids(values: list[str]) -> list[UUID]:
    """Raises Http404."""
    try:
        return [UUID(value) for value in values]
    except ValueError:
        raise Http404 from None
