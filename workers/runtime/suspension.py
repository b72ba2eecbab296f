"""Tells a process that was suspended from one that was busy.

A suspended process looks dead to others, through no fault of its job. While it stood still, it used no processor.
"""

import time

BUSY_SHARE = 0.1  # of the time, at least, that a busy process has a processor for


class SuspensionWatch:
    """Call `measure_gap()` often: a gap of more than `seconds` counts."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.was_suspended = False
        self._last_call = time.monotonic(), time.process_time()

    def measure_gap(self) -> None:
        (at, processor), now = self._last_call, (time.monotonic(), time.process_time())
        gap, self._last_call = now[0] - at, now
        if gap > self.seconds and now[1] - processor < BUSY_SHARE * gap:
            self.was_suspended = True
