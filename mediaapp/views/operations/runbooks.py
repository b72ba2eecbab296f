"""What to do when a practice does not hold, or an alarm rings, with the newest finding of the practice."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mediaapp import documents
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.models import PracticeState
from workers.practices import registry

INDEX = f"{documents.RUNBOOKS}/README.md"


@require_safe
@staff_required
def show_runbooks(request: AuthenticatedRequest) -> HttpResponse:
    context = {"title": documents.title(INDEX), "document": documents.render(INDEX)}
    return render(request, "operations/runbooks.html", context)


@require_safe
@staff_required
def show_runbook(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    path = f"{documents.RUNBOOKS}/{slug}.md"
    if path == INDEX:
        raise Http404
    try:
        title, document = documents.title(path), documents.render(path)
    except FileNotFoundError:
        raise Http404 from None
    practice = next((each for each in registry.PRACTICES if each.runbook == path), None)
    state = PracticeState.objects.filter(number=practice.number).first() if practice else None
    return render(
        request,
        "operations/runbook.html",
        {"title": title, "document": document, "practice": practice, "state": state},
    )
