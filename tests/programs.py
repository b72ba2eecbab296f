"""Programs that start others: they run to their end, or are killed with what they started."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from devtools.processes import ROOT

DEADLINE = 300  # seconds; a failure, never a pass, waits for it


def run(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m <words>`. Raises TimeoutExpired."""
    command, pipe = [sys.executable, "-m", *words], subprocess.PIPE
    # Its group is killed, and the kernel kills what has a session of its own when its parent dies.
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True, process_group=0) as started:
        try:
            said, complained = started.communicate(timeout=DEADLINE)
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, started.returncode, said, complained)
