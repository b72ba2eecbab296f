"""The files that start the project's processes: Procfile, docker-compose.yml, app.json.

Each function returns None where there is no such file.
"""

import json
import re
from pathlib import Path
from typing import Any

from django.conf import settings


def read_procfile() -> dict[str, str] | None:
    text = _read("Procfile")
    return None if text is None else dict(re.findall(r"^(\w+):\s*(.+)$", text, re.MULTILINE))


def read_app_formation() -> dict[str, dict[str, Any]] | None:
    """Quantity and size by process type."""
    text = _read("app.json")
    return None if text is None else json.loads(text).get("formation", {})


def read_queues(name: str) -> list[tuple[str, str]] | None:
    """(worker, its queues with commas) for each Celery worker; "" for what the command lacks."""
    text = _read(name)
    if text is None:
        return None
    found = []
    for command in re.findall(r"celery .*worker .*", text):
        hostname = re.search(r"--hostname[ =](\w+)", command)
        queues = re.search(r"--queues[ =]([\w,]+)", command)
        found.append((hostname[1] if hostname else "", queues[1] if queues else ""))
    return found


def _read(name: str) -> str | None:
    path = Path(settings.BASE_DIR, name)
    return path.read_text() if path.exists() else None
