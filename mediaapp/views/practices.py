"""Everybody sees whether each of the nine practices holds, and reads its chapter; only staff see the figures."""

import inspect
import re
from contextlib import suppress

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp import documents
from mediaapp.documents.addresses import LIFE_OF_A_MESSAGE
from mediaapp.operations.findings import read_charts
from mediaapp.permissions import is_staff
from mediaapp.views.documents import show_file
from workers.practices import registry

RULE = re.compile(r'id="(practices\.[EW]\d+)"')


@never_cache
@require_safe
def show_practices(request: HttpRequest) -> HttpResponse:
    findings = registry.finding_cache.read()
    outcomes = [finding.ok for _, finding in findings]
    count = {"holding": outcomes.count(True), "failing": outcomes.count(False), "unknown": outcomes.count(None)}
    context = {"findings": findings, "count": count, "is_staff": is_staff(request)}
    return render(request, "practices/practices.html", context)


@never_cache
@require_safe
def show_practice(request: HttpRequest, number: int) -> HttpResponse:
    """Its chart is for staff, and None while the database is away."""
    if number == 0:
        return show_file(request, LIFE_OF_A_MESSAGE)
    practice = next((each for each in registry.PRACTICES if each.number == number), None)
    if practice is None:
        raise Http404
    finding, staff = dict(registry.finding_cache.read())[practice], is_staff(request)
    context = {"practice": practice, "finding": finding, "rules": rules_of(practice), "is_staff": staff}
    with suppress(FileNotFoundError):  # a project that has no docs
        context |= {"chapter": documents.render(practice.chapter, for_staff=staff)}
    if staff:
        with suppress(DatabaseError):
            context |= {"chart": read_charts([practice])[number]}
    return render(request, "practices/practice.html", context)


def rules_of(practice: registry.Practice) -> list[str]:
    """The ids of its check(), which its own module contains alone."""
    return sorted(set(RULE.findall(inspect.getsource(practice.module))))
