"""The life of a job. The site and the tasks call these names, and nothing below them."""

from workers.jobs import user_messages
from workers.jobs.attempt import RetryLater
from workers.jobs.bulk import change_selected
from workers.jobs.dispatch import publish
from workers.jobs.execution import working_on
from workers.jobs.lifecycle import (
    CANCELLABLE,
    RETRYABLE,
    cancel,
    cancel_unconfirmed,
    confirm,
    create,
    move,
    reopen_mapping,
    retry,
)
from workers.jobs.recovery import sweep
from workers.jobs.state import running_state, state_of, states_of

__all__ = [
    "CANCELLABLE",
    "RETRYABLE",
    "RetryLater",
    "cancel",
    "cancel_unconfirmed",
    "change_selected",
    "confirm",
    "create",
    "move",
    "publish",
    "reopen_mapping",
    "retry",
    "running_state",
    "state_of",
    "states_of",
    "sweep",
    "user_messages",
    "working_on",
]
