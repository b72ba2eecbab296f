"""The password-reset mail. The token is made here, in the worker, so that none passes through the broker."""

from smtplib import SMTPException, SMTPRecipientsRefused

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode


class MailServerAway(Exception):
    """The mail could not be handed over now; it may work later."""


class MailRefused(Exception):
    """The mail server will not take this mail, now or later."""

    sentence = "The mail server refused the mail."


def send(user_id: int | None) -> bool:
    """Makes the mail with a fresh token and hands it to the mail server. False for nobody, or somebody inactive.

    None stands for an address that has no account: the form queues it all the same, so that its answer takes the same
    time. Raises MailServerAway, MailRefused.
    """
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first() if user_id else None
    if user is None:
        return False
    token = default_token_generator.make_token(user)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    link = settings.SITE_URL + reverse("password_reset_confirm", args=[uid, token])
    words = {"user": user, "link": link, "hours": settings.PASSWORD_RESET_TIMEOUT // 3600}
    mail = EmailMultiAlternatives(
        subject="Reset your mediaapp password",
        body=render_to_string("registration/password_reset_email.txt", words),
        to=[user.email],
    )
    mail.attach_alternative(render_to_string("registration/password_reset_email.html", words), "text/html")
    try:
        mail.send()
    except SMTPRecipientsRefused as error:
        raise MailRefused(str(error)) from error
    except (SMTPException, OSError) as error:
        raise MailServerAway(str(error)) from error
    return True
