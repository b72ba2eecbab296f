"""The life of a job: what the site and every task call.

lifecycle.py: create, publish, cancel, retry, and `working_on` around an engine. attempt.py: what the engine's callables
write. recovery.py: what the sweep does for jobs that nobody works on.
"""

from workers.jobs.lifecycle import (
    MAX_DEATHS,
    NOT_THE_FILE,
    OUR_FAULT,
    POISON,
    STARTING,
    TOO_LONG,
    WAITS,
    ask_again,
    bury,
    cancel,
    confirm,
    create,
    orphans,
    position,
    publish,
    retry,
    running_state,
    state_of,
    unsent,
    vanished,
    working_on,
)

__all__ = [
    "MAX_DEATHS",
    "NOT_THE_FILE",
    "OUR_FAULT",
    "POISON",
    "STARTING",
    "TOO_LONG",
    "WAITS",
    "ask_again",
    "bury",
    "cancel",
    "confirm",
    "create",
    "orphans",
    "position",
    "publish",
    "retry",
    "running_state",
    "state_of",
    "unsent",
    "vanished",
    "working_on",
]
