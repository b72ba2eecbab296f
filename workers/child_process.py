"""Ties a child process to its parent, and keeps the parent's secrets from it.

May run between fork and exec: no Django, and PyDLL keeps the GIL, so that no call waits for another thread.
"""

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A platform that restarts signals every process, and Ctrl-C the whole terminal. The worker alone decides whether its
# work is finished first, so its children start with these blocked. Not ignored: ffmpeg replaces SIG_IGN.
PARENT_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE = 1, 3, 4
_libc = ctypes.PyDLL(None)


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Call it in the child, which gets `signum` when the thread that started it ends. Linux only.

    A parent that ended before the call is not noticed.
    """
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signum)


def forbid_inspection(**_: object) -> None:
    """No other process of this user can read our memory and environment any more. Forks inherit it. Linux only."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def is_inspectable() -> bool:
    return sys.platform != "linux" or bool(_libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))


@contextmanager
def inspection() -> Iterator[None]:
    """For the files of /proc/self that only an inspectable process may open."""
    was_forbidden = not is_inspectable()
    if was_forbidden:
        _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        if was_forbidden:
            forbid_inspection()
