"""Pin processes to one processor, so that others have the rest of the machine: closer to machines of their own."""

import os
from collections.abc import Iterable
from contextlib import suppress

import psutil


def pin_to_last_processor(pids: Iterable[int], *, is_pinned: bool = True) -> None:
    """Or unpin them; with their children. Processes that they start later inherit it."""
    allowed = sorted(os.sched_getaffinity(0))
    for pid in pids:
        main = psutil.Process(pid)
        for process in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # a child ended meanwhile: PostgreSQL has one for each connection
                process.cpu_affinity(allowed[-1:] if is_pinned else allowed)
