"""What a learner does beside reading: exercises, the quiz, and the slides of the workshop."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from mediaapp import documents
from mediaapp.course import quiz
from mediaapp.course.exercises import exercises_of
from mediaapp.permissions import is_staff
from workers.practices import registry

SLIDES = "docs/workshop/slides.md"
KEPT_SCORES = 2


@never_cache
@require_safe
def show_exercise(request: HttpRequest, number: int, kind: str) -> HttpResponse:
    found = {each.kind: each for each in exercises_of(number)}
    if kind not in found:
        raise Http404
    others = [each for each in found.values() if each.kind != kind]
    practice = registry.PRACTICES[number - 1]
    context = {"exercise": found[kind], "others": others, "practice": practice}
    context |= {"task": found[kind].render(for_staff=is_staff(request))}
    return render(request, "course/exercise.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def take_quiz(request: HttpRequest) -> HttpResponse:
    """?practice=3,5,8: the questions of these. A POST is graded; nothing is kept but two scores, in the session."""
    try:
        numbers = sorted({int(number) for number in request.GET.get("practice", "").split(",") if number})
        questions = quiz.read_questions(numbers)
    except quiz.UNREADABLE:
        raise Http404 from None
    if not questions or {*numbers} - {each.practice for each in questions}:
        raise Http404
    chosen = ",".join(map(str, numbers))
    graded = quiz.grade(questions, request.POST.dict())
    context = {"graded": graded, "practices": numbers, "is_graded": request.method == "POST"}
    is_staff(request)  # the page needs no database
    if request.method == "POST":
        context["scores"] = keep_score(request, chosen, [sum(each.is_right for each in graded), len(graded)])
    return render(request, "course/quiz.html", context)


def keep_score(request: HttpRequest, form: str, score: list[int]) -> list[list[int]]:
    """The last scores of this form, oldest first."""
    scores: dict[str, list[list[int]]] = request.session.get("quiz_scores", {})
    last = [*scores.get(form, []), score][-KEPT_SCORES:]
    request.session["quiz_scores"] = scores | {form: last}
    return last


@never_cache
@require_safe
def show_slides(request: HttpRequest) -> HttpResponse:
    try:
        document = documents.read(SLIDES, for_staff=is_staff(request))
    except FileNotFoundError:
        raise Http404 from None
    return render(request, "course/slides.html", {"document": document})
