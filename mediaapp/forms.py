"""The forms of the account pages."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordResetForm, UserCreationForm
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mediaapp.models import User
from workers import jobs
from workers.models import Job

SEND_PASSWORD_RESET = "workers.default.tasks.send_password_reset"  # noqa: S105 - the name of a task
MAX_MAILS, MAIL_PERIOD = 3, timedelta(hours=1)


class SignUpForm(UserCreationForm):
    email = forms.EmailField(widget=forms.EmailInput(attrs={"autocomplete": "email"}))

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")


class QueuedPasswordResetForm(PasswordResetForm):
    """Sends at most MAX_MAILS to an account in MAIL_PERIOD, whoever asks.

    A log-in or a new password makes all earlier links invalid, so from then on they do not count: whoever gets no link
    has earlier ones that work.

    A job for an unknown address, or beyond the limit, sends nothing: neither time nor text of the response reveals who
    has an account.
    """

    def save(self, **_: Any) -> None:  # type: ignore[override]
        user = next(iter(self.get_users(self.cleaned_data["email"])), None)
        user_id = user.pk if user else None
        with transaction.atomic():
            # Two requests at once count one after the other.
            user = User.objects.select_for_update(no_key=True).filter(pk=user_id or 0).first()
            validity = validity_of_links(user)
            sent = Job.objects.filter(
                owner_id=user_id or 0,
                created_at__gt=timezone.now() - MAIL_PERIOD,
                task=SEND_PASSWORD_RESET,
                arguments__validity=validity,
            )
            if sent.count() >= MAX_MAILS:
                user_id = None
            jobs.create(SEND_PASSWORD_RESET, owner_id=user_id, arguments={"user_id": user_id, "validity": validity})


def validity_of_links(user: User | None) -> str:
    """Differs once the links that were sent before work no longer, as Django's tokens do."""
    values = f"{user.password} {user.last_login}" if user else ""
    return salted_hmac("mediaapp.forms.validity_of_links", values).hexdigest()[:16]
