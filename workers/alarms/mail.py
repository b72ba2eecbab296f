"""Alarms by mail, to ADMINS; where it is unset, to the staff accounts that have an address."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage

from workers.alarms.texts import make_notice
from workers.models import AlarmMessage

MAX_STAFF = 20  # that one mail goes to


class NoRecipientError(Exception):
    """ADMINS is unset, and no account of the staff has an address."""


def recipients() -> list[str]:
    """Raises DatabaseError."""
    if settings.ALERT_ADDRESSES:
        return list(settings.ALERT_ADDRESSES)
    staff = get_user_model().objects.filter(is_staff=True, is_active=True).exclude(email="").order_by("pk")
    return list(staff.values_list("email", flat=True)[:MAX_STAFF])


def send(message: AlarmMessage) -> None:
    """Raises NoRecipientError, SMTPException, OSError."""
    addresses = recipients()
    if not addresses:
        raise NoRecipientError(NoRecipientError.__doc__)
    notice = make_notice(message)
    headers = {"Message-ID": message_id(message.key), "Auto-Submitted": "auto-generated"}
    if message.kind == AlarmMessage.Kind.RECOVERY:  # mail programs show it below its alarm
        alarm = AlarmMessage(incident=message.incident, kind=AlarmMessage.Kind.ALARM)
        headers["In-Reply-To"] = headers["References"] = message_id(alarm.key)
    EmailMessage(notice.subject, notice.body, to=addresses, headers=headers).send()


def message_id(key: str) -> str:
    """The same at each try, so that mail programs drop the second of two."""
    return f"<{key}@{urlsplit(settings.SITE_URL).hostname}>"
