"""A page of several parts: one whose server is away holds up no other, and the page says that it cannot be read."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from workers.deadline import run_with_deadline

log = logging.getLogger(__name__)


def read_parts(questions: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """The context of a template: the parts by their names, and `unread`, the names of those that nobody could read."""
    answers = run_with_deadline(questions)
    unread = {name: answer for name, answer in answers.items() if isinstance(answer, Exception)}
    for name, error in unread.items():
        log.warning("page_part_unread part=%s error=%r", name, error)
    return {name: None if name in unread else answer for name, answer in answers.items()} | {"unread": unread}
