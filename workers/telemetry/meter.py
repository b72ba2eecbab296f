"""The peak memory of one run of a task, its children included (practice 9).

The process's own high-water mark alone does not do: it never falls, so that a small run would have the peak of the
largest run before it. The meter sets the mark back when a run begins (docs/facts/tools.md#peak-memory).
"""

import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

CLEAR_REFS = "/proc/self/clear_refs"
HIGH_WATER_MARK = re.compile(r"VmHWM:\s+(\d+) kB")


class MemoryMeter:
    """Made when a run begins; `measure_children()` from time to time; `peak_bytes()` when it has ended."""

    def __init__(self) -> None:
        self._children_bytes = 0
        self._known_children: set[int] = set()
        try:
            # 5 sets the process's high-water mark to what it holds now: man 5 proc_pid_clear_refs.
            os.write(_clear_refs(os.getpid()), b"5")
            self._is_measurable = True
        except OSError:
            self._is_measurable = False

    def measure_children(self) -> None:
        """Adds up the high-water marks of the children that live now.

        A child counts from the second call on: at the first it may be a fork that still has our pages. RUSAGE_CHILDREN
        counts that one, and is the maximum of all runs.
        """
        children = set(_descendants(os.getpid()))
        peak = sum(high_water_bytes(pid) for pid in children & self._known_children)
        self._children_bytes = max(self._children_bytes, peak)
        self._known_children = children

    def peak_bytes(self) -> int | None:
        """Of the process and its children; None where the kernel does not let us measure it.

        Pages that the pool's processes share count for each of them.
        """
        return getrusage(RUSAGE_SELF).ru_maxrss * 1024 + self._children_bytes if self._is_measurable else None


@cache
def _clear_refs(pid: int) -> int:
    """The file of this process, open. Cached by pid, because a fork needs its own."""
    return os.open(CLEAR_REFS, os.O_WRONLY)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile, or there is no /proc
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found + [deeper for child in found for deeper in _descendants(child)]


def high_water_bytes(pid: int | str) -> int:
    """The peak RSS of a process, "self" for this one; 0 for one that has ended, or without /proc."""
    with suppress(OSError):
        if found := HIGH_WATER_MARK.search(Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) * 1024
    return 0
