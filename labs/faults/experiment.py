"""The shape of an experiment, and its run: fix off, fix on, compare."""

import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from labs.faults.brokers import RABBITMQ, VALKEY, Broker, RabbitMQ, release_of
from labs.faults.project import Project, of_site, plain, site_options

MAX_SECONDS = 120  # of an arm
BOTH = (VALKEY, RABBITMQ)
Seen = dict[str, Any]


class Experiment:
    """The docstring of a subclass says in a sentence or two what a team sees.

    id: its anchor in docs/facts/<page>. fix: the file, and `how` the words for what is there. reads: what an arm saw,
    as a sentence with its figures. options: of the plain app, in both arms. fix_options: names of options that the
    second arm takes from config/celery.py. is_site: the second arm is the site's own app instead.
    rabbitmq_since: the release that has the fault.
    """

    id: ClassVar[str]
    page: ClassVar[str] = "celery.md"
    fix: ClassVar[str]
    how: ClassVar[str] = ""
    reads: ClassVar[str]
    brokers: ClassVar[tuple[str, ...]] = BOTH
    options: ClassVar[dict[str, Any]] = {}
    fix_options: ClassVar[tuple[str, ...]] = ()
    is_site: ClassVar[bool] = False
    rabbitmq_since: ClassVar[tuple[int, ...]] = ()

    def __init__(self, broker: Any) -> None:
        self.broker = broker  # Valkey or RabbitMQ, whichever `brokers` has

    def measure(self, project: Project) -> Seen:
        raise NotImplementedError

    def without(self) -> Seen:
        with plain(self.broker, **self.options) as project:
            return self.measure(project)

    def with_fix(self) -> Seen:
        if self.is_site:
            with of_site(self.broker, **self.options) as project:
                return self.measure(project)
        with plain(self.broker, **self.options | site_options(*self.fix_options)) as project:
            return self.measure(project)

    def happened(self, seen: Seen) -> bool:
        """Whether what an arm saw is the fault."""
        raise NotImplementedError

    @classmethod
    def applies_to(cls, broker: Broker) -> bool:
        is_old = isinstance(broker, RabbitMQ) and broker.version < cls.rabbitmq_since
        return broker.kind in cls.brokers and not is_old


@dataclass(frozen=True)
class Outcome:
    """verdict: "" if the experiment came out as the facts say."""

    id: str
    broker: str
    without: str
    with_fix: str
    verdict: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(fault: Experiment) -> Outcome:
    began = time.monotonic()
    off = on = ""
    try:
        with time_limit():
            seen = fault.without()
        off = fault.reads.format_map(seen)
        has_happened = fault.happened(seen)
        with time_limit():
            seen = fault.with_fix()
        on = fault.reads.format_map(seen)
        verdict = judge(fault, has_happened, fault.happened(seen))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        verdict = f"did not run: {error!r}"
    return Outcome(fault.id, release_of(fault.broker), off, on, verdict, round(time.monotonic() - began, 1))


def judge(fault: Experiment, off: bool, on: bool) -> str:
    if not off:
        return f"this release no longer does that: the fix in {fault.fix} may go"
    return f"the fix in {fault.fix} does not hold on this release" if on else ""


@contextmanager
def time_limit() -> Iterator[None]:
    """An arm that hangs ends here. Raises TimeoutError."""

    def end(*_: object) -> None:
        raise TimeoutError(f"it took more than {MAX_SECONDS} s")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
