"""The table of the practices. It alone feeds `manage.py check`, the doctor, the pages and the docs index."""

from dataclasses import dataclass
from types import ModuleType

from workers.practices import locks, progress, queues, recurring


@dataclass(frozen=True)
class Practice:
    """number: its place among the nine. module: mechanism, check() and verify(). chapter: its page in docs/."""

    number: int
    title: str
    module: ModuleType
    chapter: str


PRACTICES = (
    Practice(2, "Locks", locks, "docs/2-locks.md"),
    Practice(3, "Separate queues", queues, "docs/3-queues.md"),
    Practice(5, "Expires", recurring, "docs/5-expires.md"),
    Practice(6, "Progress", progress, "docs/6-progress.md"),
)
