"""Notices a program that no longer gets on, and whether the file or the machine is at fault.

A program gets on while it makes output or reads. One that does neither and uses a processor goes round in circles over
a hostile file; one that uses none was stopped, or waits for a disk.
"""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

STALL_SECONDS = 120.0
BUSY_SHARE = 0.1  # of a processor
READ_BYTES = re.compile(r"^rchar: (\d+)$", re.MULTILINE)


class StallWatch:
    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        self._seen: tuple[float, int] | None = None
        self._since = time.monotonic()
        self._cpu_seconds = 0.0

    def has_stalled(self, progress: float) -> bool:
        """progress: anything that changes when the program has made some."""
        now, seen = time.monotonic(), (progress, self._bytes_read())
        if seen != self._seen:
            self._seen, self._since, self._cpu_seconds = seen, now, self._cpu()
        return now - self._since > STALL_SECONDS

    def is_busy(self) -> bool:
        """Since it last got on. False without /proc."""
        return self._cpu() - self._cpu_seconds > BUSY_SHARE * (time.monotonic() - self._since)

    def _bytes_read(self) -> int:
        with suppress(OSError):
            if found := READ_BYTES.search((self._proc / "io").read_text()):
                return int(found[1])
        return 0

    def _cpu(self) -> float:
        with suppress(OSError, IndexError):
            # After the name, which may contain anything: man 5 proc_pid_stat.
            fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0
