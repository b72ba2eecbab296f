"""The limits of the program that reads an uploaded file: memory, CPU, disk, priority."""

import os
import resource
import signal
import sys

from workers.child_process import PARENT_SIGNALS, die_with_parent

MAX_OUTPUT_BYTES = 8 * 1024**3
MAX_MEMORY_BYTES = 4 * 1024**3
NICENESS = 10  # web processes on the same machine go first; alone it costs ffmpeg nothing (bench/resets.py)


def apply_limits(worker_pid: int, cpu_seconds: int) -> None:
    """Runs in the child, between fork and exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)
    die_with_parent()
    if os.getppid() != worker_pid:  # the worker died before that call
        os._exit(1)
    if sys.platform == "linux":
        _set_limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    os.nice(NICENESS)
    _set_limit(resource.RLIMIT_CPU, cpu_seconds)
    _set_limit(resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES)
    _set_limit(resource.RLIMIT_CORE, 0)


def _set_limit(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))
