"""Ties a child process to its parent.

May run between fork and exec: no Django, and PyDLL keeps the GIL, so that no call waits for another thread.
"""

import ctypes
import signal
import sys

# A platform that restarts signals every process, and Ctrl-C the whole terminal. The worker alone decides whether its
# work is finished first, so its children start with these blocked. Not ignored: ffmpeg replaces SIG_IGN.
PARENT_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
_libc = ctypes.PyDLL(None)


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Call it in the child, which gets `signum` when the thread that started it ends. Linux only.

    A parent that ended before the call is not noticed.
    """
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signum)
