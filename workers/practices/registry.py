"""The table of the nine practices. It alone feeds `manage.py check`, the doctor, the pages and the docs index."""

import time
from dataclasses import dataclass
from threading import Lock
from types import ModuleType

from workers.deadline import SECONDS, run_with_deadline
from workers.practices import (
    Finding,
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


@dataclass(frozen=True)
class Practice:
    """number: its place among the nine. module: mechanism, check() and verify(). chapter: its page in docs/."""

    number: int
    title: str
    module: ModuleType
    chapter: str

    @property
    def file(self) -> str:
        """The file to read, from the repository's root."""
        return f"{self.module.__name__.replace('.', '/')}.py"

    @property
    def filename(self) -> str:
        """The file's name alone, for where there is little room."""
        return self.file.rpartition("/")[2]


PRACTICES = (
    Practice(1, "Broker memory", broker, "docs/1-broker-memory.md"),
    Practice(2, "Locks", locks, "docs/2-locks.md"),
    Practice(3, "Separate queues", queues, "docs/3-separate-queues.md"),
    Practice(4, "Concurrency", concurrency, "docs/4-concurrency.md"),
    Practice(5, "Expires", recurring, "docs/5-expires.md"),
    Practice(6, "Progress", progress, "docs/6-progress.md"),
    Practice(7, "Timing", timing, "docs/7-timing.md"),
    Practice(8, "Backlog", backlog, "docs/8-backlog.md"),
    Practice(9, "Memory", memory, "docs/9-memory.md"),
)


Found = list[tuple[Practice, Finding]]
TTL = 5  # seconds


def verify_all() -> Found:
    """What each practice finds now, in the order of the table. Never raises, and never hangs on a server."""
    found = run_with_deadline({practice.title: practice.module.verify for practice in PRACTICES})
    return [(practice, _finding(found[practice.title])) for practice in PRACTICES]


class FindingCache:
    """The findings for pages, which anybody may read as often as they like: measuring opens up to nine connections."""

    def __init__(self) -> None:
        self._measuring = Lock()
        self._found: Found = []
        self._until = 0.0

    def read(self) -> Found:
        """What verify_all() found in this process in the last TTL seconds, or finds now. One measures, others wait.

        Nobody waits longer than SECONDS: then all is unknown.
        """
        if not self._measuring.acquire(timeout=SECONDS):
            late = TimeoutError(f"Still measuring after {SECONDS} s.")
            return [(practice, _finding(late)) for practice in PRACTICES]
        try:
            if time.monotonic() > self._until:
                self._found = verify_all()
                self._until = time.monotonic() + TTL
            return self._found
        finally:
            self._measuring.release()

    def clear(self) -> None:
        """The next one to read measures."""
        self._until = 0.0


recent = FindingCache()


def _finding(answer: Finding | Exception) -> Finding:
    if isinstance(answer, TimeoutError):
        return Finding(None, "unknown", f"{answer} /readyz names the server that is silent.")
    if isinstance(answer, Exception):
        return Finding(None, "unknown", f"The measurement itself failed: {answer!r}")
    return answer
