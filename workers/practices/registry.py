"""The nine practices, in the one list that checks, doctor and pages read."""

import time
from dataclasses import dataclass
from threading import Lock
from types import ModuleType

from workers.deadline import DEADLINE_SECONDS, run_with_deadline
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

TTL = 5  # seconds for which pages show the same findings


@dataclass(frozen=True)
class Practice:
    """file, chapter and lab are paths from the root."""

    number: int
    title: str
    module: ModuleType
    chapter: str
    lab: str

    @property
    def file(self) -> str:
        return f"{self.module.__name__.replace('.', '/')}.py"

    @property
    def filename(self) -> str:
        return self.file.rpartition("/")[2]


PRACTICES = (
    Practice(1, "Broker memory", broker, "docs/1-broker-memory.md", "labs/1_broker.py"),
    Practice(2, "Locks", locks, "docs/2-locks.md", "labs/2_locks.py"),
    Practice(3, "Separate queues", queues, "docs/3-separate-queues.md", "labs/3_queues.py"),
    Practice(4, "Concurrency", concurrency, "docs/4-concurrency.md", "labs/4_concurrency.py"),
    Practice(5, "Expires", recurring, "docs/5-expires.md", "labs/5_expires.py"),
    Practice(6, "Progress", progress, "docs/6-progress.md", "labs/6_progress.py"),
    Practice(7, "Timing", timing, "docs/7-timing.md", "labs/7_timing.py"),
    Practice(8, "Backlog", backlog, "docs/8-backlog.md", "labs/8_backlog.py"),
    Practice(9, "Memory", memory, "docs/9-memory.md", "labs/9_memory.py"),
)

Findings = list[tuple[Practice, Finding]]


def verify_all() -> Findings:
    """Findings in the order of PRACTICES. Never raises, and answers within DEADLINE_SECONDS."""
    answers = run_with_deadline({practice.title: practice.module.verify for practice in PRACTICES})
    return [(practice, to_finding(answers[practice.title])) for practice in PRACTICES]


class FindingCache:
    """A measurement opens up to nine connections, and anybody may load a page."""

    def __init__(self) -> None:
        self._measuring = Lock()
        self._findings: Findings = []
        self._expires_at = 0.0

    def read(self) -> Findings:
        """The findings of the last TTL seconds, or new ones; all unknown if another thread measures for too long."""
        if not self._measuring.acquire(timeout=DEADLINE_SECONDS):
            late = TimeoutError(f"Still measuring after {DEADLINE_SECONDS} s.")
            return [(practice, to_finding(late)) for practice in PRACTICES]
        try:
            if time.monotonic() > self._expires_at:
                self._findings = verify_all()
                self._expires_at = time.monotonic() + TTL
            return self._findings
        finally:
            self._measuring.release()

    def clear(self) -> None:
        self._expires_at = 0.0


finding_cache = FindingCache()


def to_finding(answer: Finding | Exception) -> Finding:
    if isinstance(answer, TimeoutError):
        return Finding(None, "unknown", f"{answer} /readyz names the server that is silent.")
    if isinstance(answer, Exception):
        return Finding(None, "unknown", f"The measurement itself failed: {answer!r}")
    return answer
