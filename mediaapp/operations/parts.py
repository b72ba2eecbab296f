"""A page of several parts: one whose server is away holds up no other, and the page says that it cannot be read."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from workers.deadline import run_with_deadline

log = logging.getLogger(__name__)
POLL_SECONDS = 5  # until a page that is open asks for its live part again


def read_parts(questions: Mapping[str, Callable[[], Any]], *, seconds: float | None = None) -> dict[str, Any]:
    """The context of a template: the parts by their names, None for each in `unread`, which nobody could read.

    seconds: else DEADLINE_SECONDS.
    """
    answers = run_with_deadline(questions, seconds=seconds)
    unread = {name: answer for name, answer in answers.items() if isinstance(answer, Exception)}
    for name, error in unread.items():
        log.warning("page_part_unread part=%s error=%r", name, error)
    return answers | dict.fromkeys(unread) | {"unread": set(unread)}
