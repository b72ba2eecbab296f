"""A worker and a beat touch READY_DIR/PROCESS while their loop runs. Without READY_DIR nothing is written.

`celery inspect ping` needs remote control, which ends workers when Redis restarts
(docs/facts/celery.md#remote-control-restart).
"""

import os
from pathlib import Path
from typing import Any

INTERVAL_SECONDS = 10  # docker-compose.yml calls a process healthy if its file is younger than a minute


def touch() -> None:
    if folder := os.environ.get("READY_DIR"):
        Path(folder, os.environ.get("PROCESS", "process")).touch()


def start(sender: Any, **_: object) -> None:
    """A receiver of `worker_ready`. The consumer's timer rests while it has no broker."""
    touch()
    sender.timer.call_repeatedly(INTERVAL_SECONDS, touch)
