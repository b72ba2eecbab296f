"""A line for the end of each run of a task, also of one that is no job: with `grep task_finished` it tells the seconds.

At INFO only a run that others may notice: a long one, or one that failed. Else the recurring tasks would write six
lines every ten seconds.
"""

import logging
from typing import Any

from workers.telemetry.outcomes import FAILED

log = logging.getLogger(__name__)

LONG_SECONDS = 1.0


def log_run(record: dict[str, Any], **_: object) -> None:
    """A receiver of `run_finished`."""
    is_noticed = record["outcome"] in FAILED or record["run_seconds"] > LONG_SECONDS
    if not (is_noticed or log.isEnabledFor(logging.DEBUG)):
        return
    waited, ran = (value and round(value, 3) for value in (record["wait_seconds"], record["run_seconds"]))
    values = (record["task"], record["outcome"], waited, ran)
    if is_noticed:
        log.info("task_finished task=%s outcome=%s waited=%s ran=%s", *values)
    else:
        log.debug("task_finished task=%s outcome=%s waited=%s ran=%s", *values)
