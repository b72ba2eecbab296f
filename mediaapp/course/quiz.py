"""The quiz: docs/workshop/quiz.toml, a [[question]] each, and how answers are graded."""

import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString

from mediaapp import documents
from workers.practices import registry

TITLES = {practice.number: practice.title for practice in registry.PRACTICES}
PATH = "docs/workshop/quiz.toml"
UNREADABLE = (OSError, ValueError, TypeError, AttributeError)


@dataclass(frozen=True)
class Question:
    """right: the index of the right answer. section: the heading of the chapter that teaches it, by its id."""

    number: int
    practice: int
    text: str
    answers: list[str]
    right: int
    why: str
    section: str = "wrong-and-right"

    def __post_init__(self) -> None:
        if self.practice not in TITLES or not 0 <= self.right < len(self.answers):
            raise ValueError(f"question {self.number}: no such practice, or no such answer")

    @property
    def field(self) -> str:
        """The name of its radio buttons."""
        return f"question-{self.number}"


@dataclass(frozen=True)
class Graded:
    """chosen: the index of the answer; None without one."""

    question: Question
    chosen: int | None

    @property
    def is_right(self) -> bool:
        return self.chosen == self.question.right

    @property
    def practice_title(self) -> str:
        return f"{self.question.practice} {TITLES[self.question.practice]}"

    @property
    def chapter(self) -> str:
        """The address of what teaches it."""
        return f"{reverse('practice', args=[self.question.practice])}#{self.question.section}"

    @cached_property
    def text(self) -> SafeString:
        return documents.render_inline(self.question.text)

    @cached_property
    def why(self) -> SafeString:
        return documents.render_inline(self.question.why)

    @cached_property
    def answers(self) -> list[tuple[int, SafeString]]:
        return [(index, documents.render_inline(answer)) for index, answer in enumerate(self.question.answers)]


def read_questions(practices: Collection[int] = ()) -> list[Question]:
    """All, or those of some practices. Raises one of UNREADABLE if the file is missing or wrong."""
    read = tomllib.loads((settings.BASE_DIR / PATH).read_text())
    questions = [Question(number, **fields) for number, fields in enumerate(read.get("question", []), 1)]
    return [each for each in questions if not practices or each.practice in practices]


def count_questions() -> Counter[int]:
    """By practice; none if the file is missing or wrong, which fails no other page."""
    try:
        return Counter(each.practice for each in read_questions())
    except UNREADABLE:
        return Counter()


def grade(questions: list[Question], given: Mapping[str, str]) -> list[Graded]:
    """given: the posted form."""
    return [Graded(each, _chosen(each, given.get(each.field, ""))) for each in questions]


def _chosen(question: Question, value: str) -> int | None:
    valid = {str(index): index for index in range(len(question.answers))}
    return valid.get(value)
