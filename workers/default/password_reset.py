"""The password-reset mail. The worker makes the token, so that no token passes through the broker."""

from smtplib import SMTPException, SMTPRecipientsRefused

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode


class MailServerUnavailable(Exception):
    """The mail server did not take the mail; it may take it later."""


class MailRejected(Exception):
    """The mail server will never take this mail."""

    sentence = "The mail server refused the mail."


def send(user_id: int | None) -> bool:
    """Sends the mail with a new token. False, and no mail, for None or an inactive user.

    None stands for an address without an account: the form queues it too, so that its answer takes the same time.
    Raises MailServerUnavailable, MailRejected.
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
        raise MailRejected(str(error)) from error
    except (SMTPException, OSError) as error:
        raise MailServerUnavailable(str(error)) from error
    return True
