"""Everybody sees whether each of the nine practices holds, and reads its chapter; only staff see the figures."""

import inspect
import re
from contextlib import suppress
from typing import Any

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp import documents
from mediaapp.course.contents import neighbours, read_course, read_reading
from mediaapp.course.exercises import exercises_of
from mediaapp.course.lab_results import read_lab
from mediaapp.course.quiz import count_questions
from mediaapp.documents import Document
from mediaapp.documents.addresses import chapters
from mediaapp.documents.source import source_page
from mediaapp.operations.findings import read_charts
from mediaapp.permissions import is_staff
from workers.practices import registry

RULE = re.compile(r'id="practices\.([EW]\d+)"')


@never_cache
@require_safe
def show_practices(request: HttpRequest) -> HttpResponse:
    findings = registry.finding_cache.read()
    outcomes = [finding.ok for _, finding in findings]
    count = {"holding": outcomes.count(True), "failing": outcomes.count(False), "unknown": outcomes.count(None)}
    course = read_course(findings)
    context = {"course": course, "reading": read_reading(), "quiz": sum(step.questions for step in course)}
    return render(request, "practices/practices.html", context | {"count": count, "is_staff": is_staff(request)})


@never_cache
@require_safe
def show_practice(request: HttpRequest, number: int) -> HttpResponse:
    """Chapter 0 is of no practice, and is there with its file alone; the others are pages without their chapter too."""
    practice = next((each for each in registry.PRACTICES if each.number == number), None)
    staff = is_staff(request)
    chapter = _read_chapter(number, staff)
    if practice is None and chapter is None:
        raise Http404
    context: dict[str, Any] = {
        "number": number,
        "chapter": chapter,
        "is_staff": staff,
        "neighbours": neighbours(number),
    }
    if practice:
        context |= {"practice": practice, "finding": dict(registry.finding_cache.read())[practice]}
        context |= {"rules": rules_of(practice, chapter), "lab": read_lab(number)}
        context |= {
            "source": source_page(practice.file),
            "exercises": exercises_of(number),
            "questions": count_questions()[number],
        }
        context |= _read_chart(practice) if staff else {}
    return render(request, "practices/practice.html", context)


def rules_of(practice: registry.Practice, chapter: Document | None) -> list[tuple[str, str]]:
    """The ids of its check(), which its own module contains alone, and their anchors in the chapter, or ""."""
    rules = sorted(set(RULE.findall(inspect.getsource(practice.module))))
    html = chapter.html if chapter else ""
    return [(f"practices.{rule}", rule.lower() if f'id="{rule.lower()}"' in html else "") for rule in rules]


def _read_chapter(number: int, for_staff: bool) -> Document | None:
    """None in a project that has no docs."""
    try:
        return documents.read(chapters()[number], for_staff=for_staff)
    except (FileNotFoundError, KeyError):
        return None


def _read_chart(practice: registry.Practice) -> dict[str, Any]:
    """Empty while the database is away."""
    with suppress(DatabaseError):
        return {"chart": read_charts([practice])[practice.number]}
    return {}
