"""A page of several parts: one whose server is away holds up no other, and the page says that it cannot be read."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from workers.deadline import run_with_deadline

log = logging.getLogger(__name__)
POLL_SECONDS = 5  # until a page that is open asks for its live part again

Questions = Mapping[str, Callable[[], Any]]


def read_parts(*groups: Questions, seconds: float | None = None) -> dict[str, Any]:
    """The context of a template: the parts by their names, None for each in `unread`, which nobody could read.

    The questions of a group are asked one after the other, in one thread with one connection to the database: put
    those together that ask one server. seconds: for all, else DEADLINE_SECONDS.
    """
    answers: dict[str, Any] = {}
    readers = {", ".join(group): partial(_read_in_turn, group, answers) for group in groups}
    late = run_with_deadline(readers, seconds=seconds)
    answers = {name: answers.get(name, late[", ".join(group)]) for group in groups for name in group}
    unread = {name: answer for name, answer in answers.items() if isinstance(answer, Exception)}
    for name, error in unread.items():
        log.warning("page_part_unread part=%s error=%r", name, error)
    return answers | dict.fromkeys(unread) | {"unread": set(unread)}


def _read_in_turn(questions: Questions, answers: dict[str, Any]) -> None:
    """Each fails alone."""
    for name, question in questions.items():
        try:
            answers[name] = question()
        except Exception as error:  # any error is an answer
            answers[name] = error
