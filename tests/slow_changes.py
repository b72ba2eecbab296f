"""Slows a change of many jobs down: a worker reads this with CELERY_WORKER_INCLUDE=tests.slow_changes."""

import time
from typing import Any

from workers.jobs import bulk

change_chunk = bulk._change_chunk


def change_chunk_slowly(*arguments: Any) -> int | None:
    time.sleep(0.2)
    return change_chunk(*arguments)


bulk.CHUNK, bulk._change_chunk = 50, change_chunk_slowly
