"""Reads the parts of a page from several servers, within one deadline."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from workers.deadline import run_with_deadline

log = logging.getLogger(__name__)


def read_parts(questions: Mapping[str, Callable[[], Any]], *, seconds: float | None = None) -> dict[str, Any]:
    """None for a part that could not be read: its page says so in words. seconds: else DEADLINE_SECONDS."""
    answers = run_with_deadline(questions, seconds=seconds)
    failed = {name: answer for name, answer in answers.items() if isinstance(answer, Exception)}
    for name, error in failed.items():
        log.warning("page_part_unknown part=%s error=%r", name, error)
    return answers | dict.fromkeys(failed)
