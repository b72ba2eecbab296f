"""The forms of the account pages."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordResetForm, UserCreationForm

from mediaapp.models import User
from workers import jobs


class SignUpForm(UserCreationForm):
    email = forms.EmailField(widget=forms.EmailInput(attrs={"autocomplete": "email"}))

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")


class QueuedPasswordResetForm(PasswordResetForm):
    """An unknown address gets a job too: neither time nor text of the response reveals who has an account."""

    def save(self, **_: Any) -> None:  # type: ignore[override]
        user = next(iter(self.get_users(self.cleaned_data["email"])), None)
        user_id = user.pk if user else None
        task = "workers.default.tasks.send_password_reset"
        jobs.create(task, owner_id=user_id, arguments={"user_id": user_id})
