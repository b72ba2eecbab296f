"""All rules over a project, as text, as JSON and as an exit code."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from workers.audit.messages import Message
from workers.audit.project import Project
from workers.audit.rules import (
    backlog,
    broker,
    concurrency,
    locks,
    memory,
    progress,
    queues,
    recurring,
    timing,
)

RULES = {
    1: ("Broker memory", broker),
    2: ("Locks", locks),
    3: ("Separate queues", queues),
    4: ("Concurrency", concurrency),
    5: ("Expires", recurring),
    6: ("Progress", progress),
    7: ("Timing", timing),
    8: ("Backlog", backlog),
    9: ("Memory", memory),
}
PACKAGE = Path(__file__).resolve().parents[1]
ORIGIN = PACKAGE / "copied_from.txt"  # of a copy: the clone with the pages (devtools/copy_modules.py)
NOTHING_FOUND, FOUND, UNKNOWN = 0, 1, 2  # exit codes, as of manage.py doctor


def audit(project: Project) -> list[Message]:
    """In the order of the practices; of one practice, findings before what is unknown."""
    messages = [message for _, rules in RULES.values() for message in rules.find(project)]
    return sorted(dict.fromkeys(messages), key=lambda message: (message.practice, not message.is_known))


def exit_code(messages: list[Message]) -> int:
    if any(message.is_known for message in messages):
        return FOUND
    return UNKNOWN if messages else NOTHING_FOUND


def as_text(project: Project, messages: list[Message]) -> Iterator[str]:
    files = ", ".join(sorted({command.file for command in project.commands})) or "no process file"
    entries = f"{len(project.entries)} scheduled" if project.entries else "nothing scheduled"
    yield f"Read: {len(project.tasks)} tasks, {entries}, {len(project.commands)} workers in {files}."
    for number, (title, _) in RULES.items():
        own = [message for message in messages if message.practice == number]
        found = any(message.is_known for message in own)
        verdict = "FOUND" if found else "unknown" if own else "nothing found"
        yield f"{number} {title:<16} {verdict}"
        for message in own:
            yield f"  {message.rule}{'' if message.is_known else ' unknown'}: {message.fault}"
            yield f"    {message.hint} See {address(message)}"


def address(message: Message) -> str:
    """Of the page in the clone, from this folder. Where there is no clone, from the root of the repository."""
    clone = Path(ORIGIN.read_text().strip()) if ORIGIN.exists() else PACKAGE.parent
    path = clone / message.page
    is_there = Path(str(path).partition("#")[0]).exists()
    return os.path.relpath(path) if is_there else message.page


def as_json(messages: list[Message]) -> str:
    rows = [
        {
            "rule": each.rule,
            "practice": each.practice,
            "verdict": "found" if each.is_known else "unknown",
            "fault": each.fault,
            "hint": each.hint,
            "page": each.page,
        }
        for each in messages
    ]
    return json.dumps(rows, indent=2)
