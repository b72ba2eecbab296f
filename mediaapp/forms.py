"""The forms of the accounts."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordResetForm, UserCreationForm

from mediaapp.models import User
from workers import jobs


class SignUpForm(UserCreationForm):
    """An account needs an address: it is where the reset mail goes."""

    email = forms.EmailField(widget=forms.EmailInput(attrs={"autocomplete": "email"}))

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")


class QueuedPasswordResetForm(PasswordResetForm):
    """Django's form, but the mail is made and sent by a worker.

    A job is queued for an unknown address too, for nobody: the answer takes the same work and says the same words.
    """

    def save(self, **_: Any) -> None:  # type: ignore[override]
        user = next(iter(self.get_users(self.cleaned_data["email"])), None)
        user_id = user.pk if user else None
        task = "workers.default.tasks.send_password_reset"
        jobs.create(task, owner_id=user_id, arguments={"user_id": user_id})
