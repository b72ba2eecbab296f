"""Account pages: Django's views with a limit on tries."""

from math import ceil
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from mediaapp.forms import QueuedPasswordResetForm, SignUpForm
from mediaapp.known_browsers import set_browser_cookie
from mediaapp.rate_limits import Limit, count_try, form_limits, give_back, login_limits, normalize_name


class LimitedTriesMixin:
    """Answers 429 to a POST beyond the limits."""

    name: ClassVar[str]
    field: ClassVar[str]
    hint: ClassVar[str] = ""
    limits: list[Limit]

    def find_limits(self, request: HttpRequest) -> list[Limit]:
        return form_limits(request, self.name)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.limits = self.find_limits(request)
        if seconds := count_try(self.limits):
            return self.refuse(request, seconds)
        try:
            return super().post(request, *args, **kwargs)  # type: ignore[misc, no-any-return]
        except Exception:  # a server is away, for example: nobody learnt whether the try was right
            give_back(self.limits)
            raise

    def refuse(self, request: HttpRequest, seconds: int) -> HttpResponse:
        minutes = ceil(seconds / 60)
        after = "in a minute" if minutes == 1 else f"in {minutes} minutes"
        messages.error(
            request,
            f"Too many tries, so nobody looked at this one, and nothing is changed. Try again {after}{self.hint}.",
        )
        # An unbound form: validation would still reveal whether the password is right.
        form = self.get_form_class()(initial={self.field: request.POST.get(self.field, "")})  # type: ignore[attr-defined]
        context = self.get_context_data(form=form)  # type: ignore[attr-defined]
        headers = {"Retry-After": str(seconds)}
        return self.render_to_response(context, status=429, headers=headers)  # type: ignore[attr-defined, no-any-return]


class LoginView(LimitedTriesMixin, auth.LoginView):
    name, field = "login", "username"
    hint = ", or choose a new password by mail, which lets you in at once"
    redirect_authenticated_user = True

    def find_limits(self, request: HttpRequest) -> list[Limit]:
        return login_limits(request, request.POST.get(self.field, ""))

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        give_back(self.limits)
        set_browser_cookie(self.request, response, normalize_name(form.get_user().get_username()))
        return response


class PasswordResetView(LimitedTriesMixin, auth.PasswordResetView):
    name, field = "reset", "email"
    form_class = QueuedPasswordResetForm


class PasswordResetConfirmView(auth.PasswordResetConfirmView):
    """The mail proves who it is, so a stranger's wrong tries do not count in this browser."""

    def form_valid(self, form: SetPasswordForm) -> HttpResponse:
        response = super().form_valid(form)
        set_browser_cookie(self.request, response, normalize_name(form.user.get_username()))
        return response


@method_decorator(sensitive_post_parameters("password1", "password2"), name="dispatch")
class SignUpView(LimitedTriesMixin, FormView):
    name, field = "signup", "email"
    form_class = SignUpForm
    template_name = "registration/signup.html"
    success_url = reverse_lazy(settings.LOGIN_REDIRECT_URL)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return redirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        try:
            user = form.save()
        except IntegrityError:  # the same form was sent twice at once; to validate again finds the other account
            return self.form_invalid(self.get_form())
        login(self.request, user)
        response = super().form_valid(form)
        set_browser_cookie(self.request, response, normalize_name(user.get_username()))
        return response
