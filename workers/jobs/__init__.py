"""The life of a job: what the site and every task call.

lifecycle.py: create, publish, cancel, retry, and `working_on` around an engine. attempt.py: what the engine's callables
write. recovery.py: what the sweep does for jobs that nobody works on.
"""

from workers.jobs.attempt import RetryLater
from workers.jobs.lifecycle import (
    CRASHED_TOO_OFTEN,
    MAX_CRASHES,
    NOT_THE_FILE,
    OUR_FAULT,
    STARTING,
    TOO_LONG,
    WAITS,
    cancel,
    confirm,
    create,
    lost_messages,
    orphans,
    position,
    publish,
    reopen_mapping,
    requeue_or_fail_orphans,
    retry,
    running_state,
    state_of,
    undispatched,
    working_on,
)

__all__ = [
    "CRASHED_TOO_OFTEN",
    "MAX_CRASHES",
    "NOT_THE_FILE",
    "OUR_FAULT",
    "STARTING",
    "TOO_LONG",
    "WAITS",
    "RetryLater",
    "cancel",
    "confirm",
    "create",
    "lost_messages",
    "orphans",
    "position",
    "publish",
    "reopen_mapping",
    "requeue_or_fail_orphans",
    "retry",
    "running_state",
    "state_of",
    "undispatched",
    "working_on",
]
