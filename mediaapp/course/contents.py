"""The course in its order: chapter 0, the nine practices with all that belongs to each, and what stands beside them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from mediaapp import documents
from mediaapp.course.exercises import Exercise, exercises_of
from mediaapp.course.lab_results import Lab, read_lab
from mediaapp.course.quiz import count_questions
from mediaapp.documents.addresses import LIFE_OF_A_MESSAGE, chapters
from workers.practices import Finding, registry

# Documents beside the chapters, and what a reader gets from each. One that is missing is left out.
READING = {
    "glossary": "Every term of the field that the chapters use, in a sentence or two.",
    "article-map": "The article that this course proves: each of its sentences, with file, rule, lab and paragraph.",
    "what-celery-does": "What Celery, kombu and the brokers really do: each fault as an experiment that you can run.",
    "review-checklist": "One page to lay beside a pull request that touches background work.",
    "lift": "The nine practices in a project of your own, one small diff at a time.",
    "workshop/README": "Teach it: plans for half a day and for two days, and notes for the instructor.",
    "workshop/slides": "The slides of the workshop.",
}


@dataclass(frozen=True)
class Step:
    """All that belongs to one practice."""

    practice: registry.Practice
    finding: Finding
    lab: Lab
    exercises: list[Exercise]
    questions: int


@dataclass(frozen=True)
class Link:
    address: str
    title: str
    words: str = ""


def read_course(findings: registry.Findings) -> list[Step]:
    questions = count_questions()
    return [
        Step(each, finding, read_lab(each.number), exercises_of(each.number), questions[each.number])
        for each, finding in findings
    ]


def read_reading() -> dict[str, list[Link]]:
    """first: to read before the nine. beside: to look things up, and to go on with."""
    first = [link for link in [link_to(LIFE_OF_A_MESSAGE, "From a click to done: read this first.")] if link]
    beside = [link_to(f"docs/{name}.md", words) for name, words in READING.items()]
    return {"first": first, "beside": [link for link in beside if link]}


def link_to(path: str, words: str = "") -> Link | None:
    """None without the document."""
    page = documents.page_of(path)
    return Link(page, documents.title(path), words) if page and (settings.BASE_DIR / path).is_file() else None


def neighbours(number: int) -> dict[str, Link]:
    """The chapters before and after one."""
    links = dict(_chapter_links())
    found = {"previous": links.get(number - 1), "next": links.get(number + 1)}
    return {name: link for name, link in found.items() if link}


def _chapter_links() -> Iterator[tuple[int, Link]]:
    """A practice has a page without a chapter too, chapter 0 has none."""
    titles = {practice.number: f"{practice.number} {practice.title}" for practice in registry.PRACTICES}
    for number, path in chapters().items():
        if link := link_to(path):
            yield number, link
        elif number in titles:
            yield number, Link(reverse("practice", args=[number]), titles[number])
