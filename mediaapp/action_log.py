"""Who of the staff did what to what, and when: in a table that only grows, and in the log."""

import logging

from mediaapp.models import ActionEntry
from mediaapp.permissions import AuthenticatedRequest
from workers import log_context

log = logging.getLogger(__name__)


def record(request: AuthenticatedRequest, action: str, target: str, detail: str = "") -> None:
    """Call it in the transaction of the action: neither is there without the other.

    action: a verb and its object, such as "pause_queue".
    """
    actor = request.user.get_username()
    ActionEntry.objects.create(
        actor=actor, action=action, target=target, detail=detail, request_id=log_context.request_id.get()
    )
    log.info("staff_action actor=%r action=%s target=%r detail=%r", actor, action, target, detail)
