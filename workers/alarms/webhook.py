"""Alarms as JSON to ALERT_WEBHOOK_URL, signed with ALERT_WEBHOOK_SECRET (docs/alarms.md#webhook)."""

import hashlib
import hmac
import json
import time
from typing import Any

from django.conf import settings

from workers.alarms.http_client import request
from workers.alarms.texts import Notice, notice
from workers.models import AlarmMessage

SIGNATURE_HEADER = "X-Mediaapp-Signature"


def send(message: AlarmMessage) -> None:
    """Raises RequestRejectedError, HTTPException, OSError."""
    told = notice(message)
    is_slack = settings.ALERT_WEBHOOK_FORMAT == "slack"
    body = json.dumps(slack_payload(told) if is_slack else payload(told), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    if settings.ALERT_WEBHOOK_SECRET:
        headers[SIGNATURE_HEADER] = sign(body, int(time.time()))
    request("POST", settings.ALERT_WEBHOOK_URL, body, headers)


def sign(body: bytes, timestamp: int) -> str:
    """The timestamp is signed too, so that a receiver can refuse an old body that somebody sends again."""
    key, signed = settings.ALERT_WEBHOOK_SECRET.encode(), f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"


def payload(told: Notice) -> dict[str, Any]:
    return {
        "id": told.key,
        "kind": told.kind,
        "site": settings.SITE_URL,
        "release": settings.RELEASE,
        "practice": {"number": told.practice.number, "title": told.practice.title},
        "subject": told.subject,
        "sentence": told.sentence,
        "meaning": told.meaning,
        "figure": told.figure,
        "reason": told.reason,
        "began_at": told.began_at.isoformat(),
        "ended_at": told.ended_at and told.ended_at.isoformat(),
        "runbook": told.runbook,
        "page": told.page,
    }


def slack_payload(told: Notice) -> dict[str, Any]:
    lines = [f"*{_escape(told.subject)}*", _escape(told.sentence), _escape(told.meaning), _escape(told.reason)]
    links = f"<{told.runbook}|Runbook> · <{told.page}|Practice>"
    return {"text": "\n".join([*filter(None, lines), links])}


def _escape(text: str) -> str:
    """The three characters that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
