"""The nine practices, in the one list that checks, doctor and pages read."""

import time
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from types import ModuleType

from django.core.checks import CheckMessage
from django.utils.text import slugify

from workers import deadline
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
    """figure: what Finding.figure counts, with its unit. file, chapter, runbook and lab are paths from the root."""

    number: int
    title: str
    module: ModuleType
    lab: str
    figure: str

    @property
    def slug(self) -> str:
        return f"{self.number}-{slugify(self.title)}"

    @property
    def unit(self) -> str:
        """Of the figure: "%", "s", "bytes", "times", or "" for a count."""
        return self.figure.partition(", ")[2].partition(" ")[0]

    @property
    def chapter(self) -> str:
        return f"docs/{self.slug}.md"

    @property
    def runbook(self) -> str:
        return f"docs/runbooks/{self.slug}.md"

    def check(self) -> list[CheckMessage]:
        """The messages of its check(). Each hint ends with the address of the rule's paragraph in the chapter."""
        messages: list[CheckMessage] = self.module.check()
        for message in messages:
            message.hint = f"{message.hint} See {self.chapter}#{str(message.id).rpartition('.')[2].lower()}."
        return messages

    @property
    def file(self) -> str:
        return f"{self.module.__name__.replace('.', '/')}.py"

    @property
    def filename(self) -> str:
        return self.file.rpartition("/")[2]


PRACTICES = (
    Practice(1, "Broker memory", broker, "labs/1_broker.py", "memory of the broker, bytes"),
    Practice(2, "Locks", locks, "labs/2_locks.py", "locks held"),
    Practice(3, "Separate queues", queues, "labs/3_queues.py", "longest wait where people wait, s"),
    Practice(4, "Concurrency", concurrency, "labs/4_concurrency.py", "jobs at work on one table"),
    Practice(5, "Expires", recurring, "labs/5_expires.py", "runs skipped in a day"),
    Practice(6, "Progress", progress, "labs/6_progress.py", "age of the oldest report of a running job, s"),
    Practice(7, "Timing", timing, "labs/7_timing.py", "slowest task against its last week, times"),
    Practice(8, "Backlog", backlog, "labs/8_backlog.py", "age of the oldest message, s"),
    Practice(9, "Memory", memory, "labs/9_memory.py", "largest run, % of the memory that it may use"),
)

Findings = list[tuple[Practice, Finding]]


def verify_all(slots: BoundedSemaphore = deadline.SLOTS, *, seconds: float | None = None) -> Findings:
    """Findings in the order of PRACTICES. Never raises, and answers within `seconds`, else deadline.DEADLINE_SECONDS.

    slots: your own, if you must not wait for other callers.
    """
    questions = {practice.title: practice.module.verify for practice in PRACTICES}
    answers = deadline.run_with_deadline(questions, slots, seconds=seconds)
    return [(practice, to_finding(answers[practice.title])) for practice in PRACTICES]


class FindingCache:
    """A measurement opens up to nine connections, and anybody may load a page."""

    def __init__(self) -> None:
        self._measuring = Lock()
        self._findings: Findings = []
        self._expires_at = 0.0

    def read(self) -> Findings:
        """The findings of the last TTL seconds, or new ones; all unknown if another thread measures for too long."""
        if not self._measuring.acquire(timeout=deadline.DEADLINE_SECONDS):
            late = TimeoutError(f"Still measuring after {deadline.DEADLINE_SECONDS} s.")
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
