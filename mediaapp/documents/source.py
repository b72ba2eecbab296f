"""The source files that a learner reads in the browser, on his own machine alone: nothing is shown unless DEBUG.

Folders, names and endings are listed here, rather than asked of git, because the copy of an exercise has none. What is
hidden (.env, .local) or leads out of the project is never read, through a symbolic link neither.
"""

from pathlib import Path

from django.conf import settings
from django.urls import reverse

FOLDERS = ("bench", "config", "devtools", "docs", "exercises", "labs", "mediaapp", "templates", "tests", "workers")
FILES = ("Dockerfile", "Makefile", "Procfile", "app.json", "docker-compose.yml", "manage.py", "pyproject.toml")
ENDINGS = {".css", ".html", ".js", ".json", ".md", ".patch", ".py", ".toml"}
MAX_BYTES = 200_000


def find_source(path: str) -> Path | None:
    """path: from the root."""
    root = settings.BASE_DIR.resolve()
    try:
        file = (root / path).resolve()
        is_small = settings.DEBUG and file.is_file() and file.stat().st_size <= MAX_BYTES
    except (OSError, ValueError):  # a name that is too long, a null byte
        return None
    if not (is_small and file.is_relative_to(root)):
        return None
    parts = file.relative_to(root).parts
    is_listed = (parts[0] in FOLDERS and file.suffix in ENDINGS) or parts[0] in FILES
    return file if is_listed and not any(part.startswith(".") for part in parts) else None


def source_page(path: str) -> str | None:
    return reverse("source", args=[path]) if find_source(path) else None


def line_of(path: str, code: str) -> int | None:
    """Where lines of a source file begin in it, whatever their indentation."""
    file, wanted = find_source(path), [line.strip() for line in code.splitlines()]
    lines = [line.strip() for line in file.read_text().splitlines()] if file else []
    starts = (index for index, line in enumerate(lines) if line == wanted[0] and lines[index:][: len(wanted)] == wanted)
    return next((index + 1 for index in starts), None) if wanted else None
