"""Accounts: Django's own views, with a limit on tries and a reset mail that a worker sends."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from mediaapp.forms import QueuedPasswordResetForm, SignUpForm
from mediaapp.limits import SENTENCE, too_many_tries


class LimitedTries:
    """Refuses a POST after too many of them; `group` and `field` say what is counted."""

    group: ClassVar[str]
    field: ClassVar[str]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if too_many_tries(request, self.group, request.POST.get(self.field, "")):
            form = self.get_form()  # type: ignore[attr-defined]
            form.add_error(None, SENTENCE)
            context = self.get_context_data(form=form)  # type: ignore[attr-defined]
            return self.render_to_response(context, status=429)  # type: ignore[attr-defined, no-any-return]
        return super().post(request, *args, **kwargs)  # type: ignore[misc, no-any-return]


class Login(LimitedTries, auth.LoginView):
    """Django's login."""

    group, field = "login", "username"
    redirect_authenticated_user = True


class PasswordReset(LimitedTries, auth.PasswordResetView):
    """Django's reset page. It answers in the same time and words whether the address has an account or not."""

    group, field = "reset", "email"
    form_class = QueuedPasswordResetForm


@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Makes an account and logs its owner in."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = SignUpForm(request.POST or None)
    limited = request.method == "POST" and too_many_tries(request, "signup", request.POST.get("email", ""))
    if limited:
        form.add_error(None, SENTENCE)
    elif form.is_valid():
        login(request, form.save(), backend="django.contrib.auth.backends.ModelBackend")
        return redirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "registration/signup.html", {"form": form}, status=429 if limited else 200)
