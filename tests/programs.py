"""Runs a program that starts processes to its end, or kills it with all of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from devtools.processes import ROOT

DEADLINE_SECONDS = 900  # ten bars of the bench, beside other load


def run(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m <words>`. Raises TimeoutExpired."""
    command, pipe = [sys.executable, "-m", *words], subprocess.PIPE
    # SIGKILL for its process group. A process in a session of its own dies with its parent.
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True, process_group=0) as started:
        try:
            stdout, stderr = started.communicate(timeout=DEADLINE_SECONDS)
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, started.returncode, stdout, stderr)
