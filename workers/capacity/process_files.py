"""The files that start the project's processes: Procfile, docker-compose.yml, app.json.

Each function returns None where there is no such file.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from workers.audit.commands import WorkerCommand as Command
from workers.audit.process_files import read_text

FILES = {"Procfile": "procfile", "docker-compose.yml": "compose"}  # by name: the kind
SERVICE = r"^( +){name}:\n((?:\1 +.*\n|\n)+)"  # of a YAML file: what is indented below its name
ANCHOR = r"^(.*)&{name}\n((?: +.*\n|\n)+)"
MEMORY = re.compile(r"^ +mem_limit: *(\d+)([bkmg]?)b?\b", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class WorkerCommand:
    """worker: its hostname; "" and None for what the command does not say."""

    worker: str
    queues: str
    concurrency: int | None

    @classmethod
    def parse(cls, command: Command) -> "WorkerCommand":
        concurrency, hostname = command.number("concurrency"), command.option("hostname") or ""
        queues = command.option("queues") or ""
        return cls(hostname.partition("@")[0], queues, None if concurrency is None else int(concurrency))


def read_procfile() -> dict[str, str] | None:
    text = _read("Procfile")
    return None if text is None else dict(re.findall(r"^(\w+):\s*(.+)$", text, re.MULTILINE))


def read_app_formation() -> dict[str, dict[str, Any]] | None:
    """Quantity and size by process type."""
    text = _read("app.json")
    return None if text is None else json.loads(text).get("formation", {})


def read_workers(file: str) -> list[WorkerCommand] | None:
    """Of each Celery worker that a file of FILES starts."""
    text = _read(file)
    return None if text is None else [WorkerCommand.parse(each) for each in read_text(text, FILES[file], file)]


def read_memory_limits(services: list[str]) -> dict[str, int | None] | None:
    """Bytes by service of docker-compose.yml; None for a service without a limit. Skips services that it lacks."""
    text = _read("docker-compose.yml")
    if text is None:
        return None
    blocks = {name: re.search(SERVICE.format(name=name), text, re.MULTILINE) for name in services}
    return {name: _memory_limit(text, block[2]) for name, block in blocks.items() if block}


def _memory_limit(text: str, block: str) -> int | None:
    """The block's own, or that of an anchor that it merges."""
    if own := MEMORY.search(block):
        factor: int = 1024 ** "bkmg".index(own[2].lower() or "b")
        return int(own[1]) * factor
    merged = re.findall(r"\*(\w+)", " ".join(re.findall(r"^ +<<:.*", block, re.MULTILINE)))
    anchors = (re.search(ANCHOR.format(name=name), text, re.MULTILINE) for name in merged)
    return next((limit for anchor in anchors if anchor and (limit := _memory_limit(text, anchor[2]))), None)


def _read(name: str) -> str | None:
    path = Path(settings.BASE_DIR, name)
    return path.read_text() if path.exists() else None
