"""How much memory one run of a task takes, its children included (practice 9).

Not the process's own high-water mark: that one never falls, and would blame each task for the hungriest before it.
"""

import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

CLEAR_REFS = "/proc/self/clear_refs"
HIGH_WATER = re.compile(r"VmHWM:\s+(\d+) kB")


class Meter:
    """Measures the memory of one run: made when it begins, `look()` from time to time, `peak()` when it ended."""

    def __init__(self) -> None:
        self._children = 0
        self._seen: set[int] = set()
        try:
            # 5 sets the process's high-water mark back to what it holds now: man 5 proc_pid_clear_refs.
            os.write(_clear_refs(os.getpid()), b"5")
            self._measurable = True
        except OSError:
            self._measurable = False

    def look(self) -> None:
        """Adds up the high-water marks of the children that live now.

        Each counts from the second look on: at the first it may be a fork of ours that has not become its own program
        yet, and its pages are ours. RUSAGE_CHILDREN counts just that one, and is the maximum of all runs
        (docs/facts/tools.md#peak-memory).
        """
        alive = set(_descendants(os.getpid()))
        self._children = max(self._children, sum(high_water(pid) for pid in alive & self._seen))
        self._seen = alive

    def peak(self) -> int | None:
        """Bytes that the process and its children held at most; None where the kernel does not let us measure it.

        Pages that the pool's processes share count for each of them.
        """
        return getrusage(RUSAGE_SELF).ru_maxrss * 1024 + self._children if self._measurable else None


@cache
def _clear_refs(pid: int) -> int:
    """The file that belongs to this process, open: a fork needs its own."""
    return os.open(CLEAR_REFS, os.O_WRONLY)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile, or there is no /proc
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found + [deeper for child in found for deeper in _descendants(child)]


def high_water(pid: int | str) -> int:
    """Bytes that a process held at most, "self" for this one; 0 for one that is gone, or without /proc."""
    with suppress(OSError):
        if found := HIGH_WATER.search(Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) * 1024
    return 0
