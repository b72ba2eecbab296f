"""Which request and which job a log line belongs to.

Each message carries the id of the request that sent it.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

UNKNOWN = "-"
HEADER = "request_id"  # of a message
FORMAT = "%(levelname)s %(name)s request=%(request_id)s job=%(job_id)s %(message)s"
PASSWORD_IN_URL = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
RESET_TOKEN = re.compile(r"(/reset/[^/\s]+/)[^/\s]+")

request_id: ContextVar[str] = ContextVar("request_id", default=UNKNOWN)
job_id: ContextVar[str] = ContextVar("job_id", default=UNKNOWN)


class RedactingFormatter(logging.Formatter):
    """Removes passwords in addresses, and the tokens of reset links."""

    def format(self, record: logging.LogRecord) -> str:
        return RESET_TOKEN.sub(r"\1...", PASSWORD_IN_URL.sub(r"\1...@", super().format(record)))


class ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id, record.job_id = request_id.get(), job_id.get()
        return True


def logging_to_stdout(level: str, loggers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The setting LOGGING."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": ContextFilter}},
        "formatters": {"line": {"()": RedactingFormatter, "format": FORMAT}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
                "filters": ["context"],
            }
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": loggers,
    }


@contextmanager
def bind_job(job: object) -> Iterator[None]:
    token = job_id.set(str(job))
    try:
        yield
    finally:
        job_id.reset(token)


def add_request_id(headers: dict[str, Any], **_: object) -> None:
    """A receiver of `before_task_publish`."""
    if request_id.get() != UNKNOWN:
        headers[HEADER] = request_id.get()


def bind_task(task_id: str, task: Any, **_: object) -> None:
    """A receiver of `task_prerun`. A job's id is its task's id."""
    request_id.set(getattr(task.request, HEADER, None) or UNKNOWN)
    job_id.set(task_id)


def unbind_task(**_: object) -> None:
    """A receiver of `task_postrun`."""
    request_id.set(UNKNOWN)
    job_id.set(UNKNOWN)
