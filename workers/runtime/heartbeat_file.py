"""A worker and a beat touch a file while their loop runs, so that a health check reads its age without Python.

The fault: a process that exists may hang, or may have lost its broker. `celery inspect ping` starts a whole site for
each check and needs remote control, which ends workers when Redis restarts
(docs/facts/celery.md#remote-control-restart). Here the loop that takes messages, and each tick of beat, touch
READY_DIR/PROCESS. Without READY_DIR nothing is written.
"""

import os
from pathlib import Path
from typing import Any

INTERVAL_SECONDS = 10  # docker-compose.yml calls a process healthy if its file is younger than a minute


def touch() -> None:
    """Says that this process is ready and its loop runs."""
    if folder := os.environ.get("READY_DIR"):
        Path(folder, os.environ.get("PROCESS", "process")).touch()


def start(sender: Any, **_: object) -> None:
    """A receiver of `worker_ready`. The sender is the worker's consumer, whose timer rests while it has no broker."""
    touch()
    sender.timer.call_repeatedly(INTERVAL_SECONDS, touch)
