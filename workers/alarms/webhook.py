"""Alarms as JSON to ALERT_WEBHOOK_URL, signed with ALERT_WEBHOOK_SECRET (docs/alarms.md#webhook)."""

import hashlib
import hmac
import json
import time
from typing import Any

from django.conf import settings

from workers.alarms.http_client import request
from workers.alarms.texts import Notice, make_notice
from workers.models import AlarmMessage

SIGNATURE_HEADER = "X-Mediaapp-Signature"


def send(message: AlarmMessage) -> None:
    """Raises RequestRejectedError, HTTPException, OSError."""
    notice = make_notice(message)
    is_slack = settings.ALERT_WEBHOOK_FORMAT == "slack"
    body = json.dumps(slack_payload(notice) if is_slack else payload(notice), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    if settings.ALERT_WEBHOOK_SECRET:
        headers[SIGNATURE_HEADER] = sign(body, int(time.time()))
    request("POST", settings.ALERT_WEBHOOK_URL, body, headers)


def sign(body: bytes, timestamp: int) -> str:
    """The timestamp is signed too, so that a receiver can refuse an old body that somebody sends again."""
    key, signed = settings.ALERT_WEBHOOK_SECRET.encode(), f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"


def payload(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.key,
        "kind": notice.kind,
        "site": settings.SITE_URL,
        "release": settings.RELEASE,
        "practice": {"number": notice.practice.number, "title": notice.practice.title},
        "subject": notice.subject,
        "sentence": notice.sentence,
        "meaning": notice.meaning,
        "figure": notice.figure,
        "reason": notice.reason,
        "began_at": notice.began_at.isoformat(),
        "ended_at": notice.ended_at and notice.ended_at.isoformat(),
        "runbook": notice.runbook,
        "page": notice.page,
    }


def slack_payload(notice: Notice) -> dict[str, Any]:
    lines = [f"*{_escape(notice.subject)}*", _escape(notice.sentence), _escape(notice.meaning), _escape(notice.reason)]
    links = f"<{notice.runbook}|Runbook> · <{notice.page}|Practice>"
    return {"text": "\n".join([*filter(None, lines), links])}


def _escape(text: str) -> str:
    """The three characters that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
