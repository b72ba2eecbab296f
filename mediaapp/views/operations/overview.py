"""The overview of the person on call: what is wrong, since when, and what to do."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.permissions import staff_required
from workers.deadline import run_with_deadline
from workers.telemetry.recurring_entries import recurring_entries

# What each part of the page shows, by its name in the template. None if its server is away.
PARTS: Mapping[str, Callable[[], Any]] = {"entries": recurring_entries}


@never_cache
@require_safe
@staff_required
def show_overview(request: HttpRequest) -> HttpResponse:
    answers = run_with_deadline(PARTS)
    parts = {name: None if isinstance(answer, Exception) else answer for name, answer in answers.items()}
    return render(request, "operations/overview.html", parts)
