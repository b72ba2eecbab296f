"""A command line that starts a Celery worker: `celery -A proj worker -Q a,b -c 4`, or `celery multi start`."""

import re
import shlex
from dataclasses import dataclass

# By what the audit asks: the spellings of the option.
OPTIONS = {
    "app": ("-A", "--app"),
    "queues": ("-Q", "--queues"),
    "excluded": ("-X", "--exclude-queues"),
    "concurrency": ("-c", "--concurrency"),
    "autoscale": ("--autoscale",),
    "pool": ("-P", "--pool"),
    "prefetch": ("--prefetch-multiplier",),
    "hard_limit": ("--time-limit",),
    "soft_limit": ("--soft-time-limit",),
    "max_memory": ("--max-memory-per-child",),
    "max_tasks": ("--max-tasks-per-child",),
    "hostname": ("-n", "--hostname"),
}
VARIABLE = re.compile(r"\$|%\(|\{\{")  # the environment or a template decides


@dataclass(frozen=True)
class WorkerCommand:
    """name: of the process in its file. deployment: files that are started together. words: of the command."""

    name: str
    file: str
    deployment: str
    words: tuple[str, ...]

    def option(self, name: str) -> str | None:
        """None if the command does not give it; "$" if a variable decides."""
        found = None
        for spelling in OPTIONS[name]:
            for index, word in enumerate(self.words):
                if word == spelling:
                    found = self.words[index + 1] if index + 1 < len(self.words) else None
                elif word.startswith(f"{spelling}="):
                    found = word.partition("=")[2]
                elif len(spelling) == 2 and word.startswith(spelling) and len(word) > 2:
                    found = word[2:].removeprefix("=")
        return "$" if found and VARIABLE.search(found) else found

    def number(self, name: str) -> float | None:
        """None if the command does not give it, or a variable does."""
        given = self.option(name)
        return float(given) if given and re.fullmatch(r"\d+(\.\d+)?", given) else None

    def queues(self, defaults: tuple[str, ...]) -> tuple[str, ...] | None:
        """Without -Q a worker consumes the `defaults`. None if a variable decides."""
        given, excluded = self.option("queues"), self.option("excluded")
        if "$" in (given, excluded):
            return None
        names = tuple(filter(None, given.split(","))) if given else defaults
        return tuple(name for name in names if name not in (excluded or "").split(","))


def is_worker(words: list[str]) -> bool:
    """Of a command line's words: also `python -m celery`, and wrappers before it."""
    names = [word.rpartition("/")[2] for word in words]
    if "celery" not in names:
        return False
    after = names[names.index("celery") + 1 :]
    return "worker" in after or after[:2] == ["multi", "start"] or after[:2] == ["multi", "restart"]


def split(line: str) -> list[str]:
    """The words of a shell's line; of `sh -c "..."` those inside. Quotes that do not match are left as they are."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    return [part for word in words for part in (split(word) if " " in word and "celery" in word else [word])]
