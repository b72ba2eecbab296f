"""The limits of the program that reads an uploaded file: memory, CPU, disk, priority."""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from workers.child_process import PARENT_SIGNALS, die_with_parent

MAX_OUTPUT_BYTES = 8 * 1024**3
MAX_MEMORY_BYTES = 4 * 1024**3
MIN_MEMORY_BYTES = 512 * 1024**2  # 1080p takes 460 MB of address space that holds data
OWN_MEMORY_BYTES = 256 * 1024**2  # of the worker beside it
NICENESS = 10  # web processes on the same machine go first; alone it costs ffmpeg nothing (bench/resets.py)

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
MEMORY_FILES = {"": "memory.max", "memory": "memory/memory.limit_in_bytes"}  # of version 2 and 1, by controller


def memory_bytes() -> int:
    """What the container has, without the worker's own, at most MAX_MEMORY_BYTES."""
    limit = min(*_container_limits(), MAX_MEMORY_BYTES + OWN_MEMORY_BYTES, _machine_bytes())
    return max(MIN_MEMORY_BYTES, limit - OWN_MEMORY_BYTES)


def _container_limits() -> Iterator[int]:
    """Each group's on the way from our own to the root, which is the container's own where it sees no other."""
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controller, path = line.split(":", 2)
        if file := MEMORY_FILES.get(controller):
            folder = (CGROUPS / file).parent
            own = folder / path.lstrip("/")
            groups = [group for group in (own, *own.parents) if group.is_relative_to(folder)]
            yield from filter(None, (_read_limit(group / Path(file).name) for group in groups))


def _read_limit(file: Path) -> int:
    """0 without a limit."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max"
        return 0


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def apply_limits(worker_pid: int, cpu_seconds: int, memory: int) -> None:
    """Runs in the child, between fork and exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)
    die_with_parent()
    if os.getppid() != worker_pid:  # the worker died before that call
        os._exit(1)
    if sys.platform == "linux":
        _set_limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
        # Not RLIMIT_AS alone: threads reserve address space that they never use (docs/facts/tools.md#memory-limit).
        _set_limit(resource.RLIMIT_DATA, memory)
    os.nice(NICENESS)
    _set_limit(resource.RLIMIT_CPU, cpu_seconds)
    _set_limit(resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES)
    _set_limit(resource.RLIMIT_CORE, 0)


def _set_limit(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))
