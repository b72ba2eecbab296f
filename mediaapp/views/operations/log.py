"""The action log: who of the staff did what, newest first. Its filter is in the address."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.models import ActionEntry
from mediaapp.operations import action_log
from mediaapp.permissions import staff_required

PAGE_SIZE = 50
MAX_ID = 2**63 - 1  # a larger one is an error of PostgreSQL


@never_cache
@require_safe
@staff_required
def show_log(request: HttpRequest) -> HttpResponse:
    """`before`: the id of the last entry of the page before, so that new entries move nothing."""
    fields = ("actor", "action")
    chosen = {field: value for field in fields if (value := request.GET.get(field, "").strip().replace("\x00", ""))}
    entries = ActionEntry.objects.filter(**chosen).order_by("-pk")
    before = request.GET.get("before", "")
    if before.isdecimal():
        entries = entries.filter(pk__lt=min(int(before[:19]), MAX_ID))
    page = list(entries[: PAGE_SIZE + 1])
    context = {
        "rows": [(entry, action_log.phrase(entry.action)) for entry in page[:PAGE_SIZE]],
        "older": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
        "is_newest": not before,
        "chosen": chosen,
        "actions": action_log.PHRASES,
    }
    return render(request, "operations/log.html", context)
