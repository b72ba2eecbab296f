"""Who of the staff did what to what, and when: in a table that only grows, and in the log."""

import logging

from mediaapp.models import ActionEntry
from mediaapp.permissions import AuthenticatedRequest
from workers import log_context

log = logging.getLogger(__name__)

# What the page of the log says of each action, before its target.
PHRASES = {
    "pause_queue": "paused the queue",
    "resume_queue": "resumed the queue",
    "pause_entry": "paused the recurring entry",
    "resume_entry": "resumed the recurring entry",
    "run_entry": "ran the recurring entry",
    "retry_job": "retried the job",
    "cancel_job": "cancelled the job",
    "retry_jobs": "retried many jobs in",
    "cancel_jobs": "cancelled many jobs in",
}


def phrase(action: str) -> str:
    """In plain words, for an action of another release, too."""
    return PHRASES.get(action, f"did “{action.replace('_', ' ')}”:")


def record(request: AuthenticatedRequest, action: str, target: str, detail: str = "") -> None:
    """Call it in the transaction of the action: neither is there without the other.

    action: a verb and its object, such as "pause_queue".
    """
    actor = request.user.get_username()
    ActionEntry.objects.create(
        actor=actor, action=action, target=target, detail=detail, request_id=log_context.known_request_id()
    )
    log.info("staff_action actor=%r action=%s target=%r detail=%r", actor, action, target, detail)
