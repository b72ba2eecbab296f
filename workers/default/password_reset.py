"""The password-reset mail. The worker makes the token, so that no token passes through the broker."""

from smtplib import SMTPException, SMTPRecipientsRefused

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

SMTP_PERMANENT = 500


class MailServerUnavailableError(Exception):
    """The mail server may take the mail later."""


class MailRejectedError(Exception):
    sentence = "The mail server refused the mail."


def send(user_id: int | None) -> bool:
    """Sends nothing and returns False for None or an inactive user.

    Raises MailServerUnavailableError, MailRejectedError.
    """
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first() if user_id else None
    if user is None:
        return False
    token = default_token_generator.make_token(user)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    link = settings.SITE_URL + reverse("password_reset_confirm", args=[uid, token])
    context = {"user": user, "link": link, "hours": settings.PASSWORD_RESET_TIMEOUT // 3600}
    mail = EmailMultiAlternatives(
        subject="Reset your mediaapp password",
        body=render_to_string("registration/password_reset_email.txt", context),
        to=[user.email],
    )
    mail.attach_alternative(render_to_string("registration/password_reset_email.html", context), "text/html")
    try:
        mail.send()
    except SMTPRecipientsRefused as error:
        is_final = any(code >= SMTP_PERMANENT for code, _ in error.recipients.values())  # else it says: later
        raise (MailRejectedError if is_final else MailServerUnavailableError)(str(error)) from error
    except SoftTimeLimitExceeded as error:
        raise MailServerUnavailableError("it is too slow") from error
    except (SMTPException, OSError) as error:
        raise MailServerUnavailableError(str(error)) from error
    return True
