"""The peak memory of one run of a task, its children included (practice 9), and whether its children work.

A process's high-water mark never falls, so the meter resets it when a run begins (docs/facts/tools.md#peak-memory).
"""

import os
import re
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from workers.child_process import inspection

CLEAR_REFS = "/proc/self/clear_refs"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HIGH_WATER_MARK = re.compile(r"VmHWM:\s+(\d+) kB")


class MemoryMeter:
    """Call `measure_children()` from time to time."""

    def __init__(self) -> None:
        self._children_bytes = 0
        self._known_children: set[int] = set()
        self._processor_time: tuple[set[int], int] = (set(), 0)
        self._worked_at = time.monotonic()
        try:
            # 5 sets the process's high-water mark to what it holds now: man 5 proc_pid_clear_refs.
            os.write(_clear_refs(os.getpid()), b"5")
            self._is_measurable = True
        except OSError:
            self._is_measurable = False

    def measure_children(self) -> None:
        """A child counts from the second call on: at the first it may be a fork that still has our pages."""
        children = set(descendants(os.getpid()))
        peak = sum(high_water_bytes(pid) for pid in children & self._known_children)
        self._children_bytes = max(self._children_bytes, peak)
        self._known_children = children
        processor_time = children, sum(processor_ticks(pid) for pid in children)
        if not children or processor_time != self._processor_time:
            self._processor_time, self._worked_at = processor_time, time.monotonic()

    def idle_seconds(self) -> float:
        """For how long the children have used no processor; 0 without children."""
        return time.monotonic() - self._worked_at if self._known_children else 0.0

    def peak_bytes(self) -> int | None:
        """None where the kernel does not let us measure it."""
        return getrusage(RUSAGE_SELF).ru_maxrss * 1024 + self._children_bytes if self._is_measurable else None


@cache
def _clear_refs(pid: int) -> int:
    """Cached by pid, because a fork needs its own."""
    with inspection():
        return os.open(CLEAR_REFS, os.O_WRONLY)


def descendants(pid: int) -> list[int]:
    """All processes that it or one of these started, without those that have ended."""
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile, or there is no /proc
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found + [deeper for child in found for deeper in descendants(child)]


def processor_ticks(pid: int) -> int:
    """0 for a process that has ended, or without /proc."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def rss_bytes(pid: int) -> int:
    """0 for a process that has ended, or without /proc."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    return 0


def high_water_bytes(pid: int | str) -> int:
    """0 for a process that has ended, or without /proc."""
    with suppress(OSError):
        if found := HIGH_WATER_MARK.search(Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) * 1024
    return 0
