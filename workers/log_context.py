"""Which request, job, task and queue a log line belongs to, and its form: a line of text, or a JSON object.

Each message carries the id of the request that sent it. Both forms remove secrets. The JSON is our own 40 lines: a
library would leave the values of an event, the redaction and the context to us (docs/logging.md#json).
"""

import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

UNKNOWN = "-"
HEADER = "request_id"  # of a message
FORMAT = "%(levelname)s %(name)s request=%(request_id)s job=%(job_id)s %(message)s"
PASSWORD_IN_URL = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
RESET_TOKEN = re.compile(r"(/reset/[^/\s]+/)[^/\s]+")
MAIL_ADDRESS = re.compile(r"[\w.+%-]*\w@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}")
# PostgreSQL's fields after its first line, in any language, and in a repr: "DETAIL:  Key (...)=(...)", "LINE 1: ...".
ROW_VALUES = re.compile(r"(\n|\\+n)(?:\w+:  |\w+ \d+: ).*", re.DOTALL)
EVENT = re.compile(r"([a-z]+(?:_[a-z]+)+)((?: \w+=%[rs])*)")  # docs/logging.md: `event key=value`

request_id: ContextVar[str] = ContextVar("request_id", default=UNKNOWN)
job_id: ContextVar[str] = ContextVar("job_id", default=UNKNOWN)
task_name: ContextVar[str] = ContextVar("task_name", default=UNKNOWN)
queue_name: ContextVar[str] = ContextVar("queue_name", default=UNKNOWN)
CONTEXT = {"request": request_id, "job": job_id, "task": task_name, "queue": queue_name}


def redact(text: str) -> str:
    """Removes passwords in addresses, and the tokens of reset links."""
    return RESET_TOKEN.sub(r"\1...", PASSWORD_IN_URL.sub(r"\1...@", text))


def anonymize(text: str) -> str:
    """For what leaves the site: redacts, and removes mail addresses and what PostgreSQL says of a row's values."""
    return MAIL_ADDRESS.sub("<mail>", ROW_VALUES.sub(r"\1...", redact(text)))


class RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One object a line. `text` is the message; an event's name and values are fields too, an exception is one field.

    A value takes the place of the context's of the same name: `queue` of `job_published` is the queue of that job.
    """

    def __init__(self, release: str) -> None:
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {"time": time, "level": record.levelname, "logger": record.name}
        fields["text"] = redact(record.getMessage())
        for name, variable in CONTEXT.items():
            known = variable.get()
            fields[name] = None if known == UNKNOWN else known
        fields["release"] = self.release or None
        fields |= {name: _json_value(value) for name, value in event_fields(record).items()}
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            fields["stack"] = redact(record.stack_info)
        return json.dumps(fields)


def event_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Empty for a line of a library, which is no event."""
    found = EVENT.fullmatch(record.msg) if isinstance(record.msg, str) else None
    if not found:
        return {}
    names = re.findall(r"(\w+)=", found[2])
    values = record.args if isinstance(record.args, tuple) else (record.args,)
    return {"event": found[1]} | dict(zip(names, values, strict=False))


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return redact(repr(value) if isinstance(value, BaseException) else str(value))


class ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id, record.job_id = request_id.get(), job_id.get()
        return True


def logging_to_stdout(
    level: str, loggers: dict[str, dict[str, Any]], *, is_json: bool = False, release: str = ""
) -> dict[str, Any]:
    """The setting LOGGING."""
    line = {"()": RedactingFormatter, "format": FORMAT}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": ContextFilter}},
        "formatters": {"line": {"()": JsonFormatter, "release": release} if is_json else line},
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


def known_request_id() -> str:
    """Empty if no request is known."""
    return "" if request_id.get() == UNKNOWN else request_id.get()


@contextmanager
def bind_job(job: object, request: str = "") -> Iterator[None]:
    """request: of another job than the current one, the request that created it; empty keeps the current one."""
    tokens = job_id.set(str(job)), request_id.set(request or request_id.get())
    try:
        yield
    finally:
        job_id.reset(tokens[0])
        request_id.reset(tokens[1])


def add_request_id(headers: dict[str, Any], **_: object) -> None:
    """A receiver of `before_task_publish`."""
    if request_id.get() != UNKNOWN:
        headers[HEADER] = request_id.get()


def bind_task(task_id: str, task: Any, **_: object) -> None:
    """A receiver of `task_prerun`. A job's id is its task's id."""
    request_id.set(getattr(task.request, HEADER, None) or UNKNOWN)
    job_id.set(task_id)
    task_name.set(task.name)
    queue_name.set(queue_of(task.request) or UNKNOWN)


def unbind_task(**_: object) -> None:
    """The last receiver of `task_postrun`."""
    for variable in CONTEXT.values():
        variable.set(UNKNOWN)


def queue_of(request: Any) -> str:
    """Of Celery's request. On RabbitMQ a message that waited for its ETA comes back as "0.0.[...].1.default".

    docs/facts/servers.md#eta-on-quorum
    """
    return str((request.delivery_info or {}).get("routing_key", "")).rpartition(".")[2]
