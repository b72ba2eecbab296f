"""A worker or a beat whose loop turns says so by the age of a file, which a health check reads without starting Python.

The fault: `celery inspect ping` starts a whole site for each look, and needs remote control, which kills workers when
Redis restarts (docs/facts/celery.md#remote-control-restart). That the process is there says nothing: one that hangs, or
that cannot reach its broker, takes no message. Here the file READY_DIR/PROCESS is touched from the loop that takes the
messages, and from each tick of beat. Without READY_DIR nobody asks, and nothing is written.
"""

import os
from pathlib import Path
from typing import Any

EVERY = 10  # seconds; docker-compose.yml calls a process healthy whose file is younger than a minute


def touch() -> None:
    """This process turns, and has since it was ready."""
    if folder := os.environ.get("READY_DIR"):
        Path(folder, os.environ.get("PROCESS", "process")).touch()


def start(sender: Any, **_: object) -> None:
    """A receiver of `worker_ready`, whose sender is the worker's consumer: its timer waits while it has no broker."""
    touch()
    sender.timer.call_repeatedly(EVERY, touch)
