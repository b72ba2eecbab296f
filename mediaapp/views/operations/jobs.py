"""The jobs of all owners: searched, and grouped by error."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.job_search import find, select
from mediaapp.job_search.query import Query, read_query
from mediaapp.permissions import staff_required
from workers.models import Job

TOO_SLOW = "This search takes too long. Name an owner, a state or a time, such as since:7d."


@never_cache
@require_safe
@staff_required
def show_jobs(request: HttpRequest) -> HttpResponse:
    """`q`: the search. `group=error`: its failures by fingerprint. `after`: where an older page begins."""
    text, after = request.GET.get("q", "").replace("\x00", "").strip(), read_position(request.GET.get("after", ""))
    query, is_grouped = read_query(text), request.GET.get("group") == "error"
    context = {"query": text, "problems": query.problems, "is_grouped": is_grouped, "links": quick_links()}
    if not query.problems:
        try:
            context |= groups_of(query) if is_grouped else page_of(query, after)
        except find.TooSlowError:
            context["problems"] = (TOO_SLOW,)
    return render(request, "operations/jobs/jobs.html", context)


def page_of(query: Query, after: find.Position | None) -> dict[str, Any]:
    page = find.find_page(query, after)
    position = f"{page.older[0].isoformat()}_{page.older[1]}" if page.older else ""
    count = page.count if page.count is not None or after else find.count_jobs(query)
    context = {
        "found": page.jobs,
        "older": position,
        "is_newest": after is None,
        "count": count,
        "max": find.MAX_COUNTED,
    }
    on_page = {job.state for job in page.jobs}
    is_all = after is None and page.older is None
    context["changes_of_ticked"] = select.changes_of(on_page)
    context["changes_of_all"] = select.changes_of(on_page if is_all else states_of(query))
    return context | {"is_partial": page.is_partial, "window": find.WINDOW}


def states_of(query: Query) -> set[str]:
    """In which the jobs that match can be."""
    named = {value for name, value in query.values if name == "state"}
    is_of_failed = any(name == "error" for name, _ in query.values)
    return named or ({Job.State.FAILED} if is_of_failed else {*Job.State.values})


def groups_of(query: Query) -> dict[str, Any]:
    groups = find.group_failures(query)
    return {"groups": groups, "window": find.WINDOW}


def read_position(text: str) -> find.Position | None:
    moment, _, pk = text.partition("_")
    try:
        position = datetime.fromisoformat(moment), UUID(pk)
    except ValueError:
        return None
    return position if timezone.is_aware(position[0]) else None


def quick_links() -> dict[str, str]:
    today = timezone.localdate().isoformat()
    return {
        "All": "",
        "Failed today": f"state:failed since:{today}",
        "Failed": "state:failed",
        "Running": "state:running",
        "Waiting": "state:queued",
    }
