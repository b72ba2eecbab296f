"""The nine practices, live. Everybody may see whether they hold; the figures are for staff."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from workers.practices import nine


@never_cache
@require_safe
def show_practices(request: HttpRequest) -> HttpResponse:
    """Measured as the page is read."""
    found = nine.verify_all()
    holds = [finding.holds for _, finding in found]
    count = {"hold": holds.count(True), "do_not": holds.count(False), "unknown": holds.count(None)}
    return render(request, "practices/practices.html", {"found": found, "count": count})
