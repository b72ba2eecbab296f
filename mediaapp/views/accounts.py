"""Account pages: Django's views with a limit on tries."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from mediaapp.forms import QueuedPasswordResetForm, SignUpForm
from mediaapp.rate_limits import TOO_MANY_TRIES_MESSAGE, is_over_try_limit, reset_tries


class LimitedTriesMixin:
    """Answers 429 after too many POSTs with one value of `field`, or from one client."""

    group: ClassVar[str]
    field: ClassVar[str]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        typed = request.POST.get(self.field, "")
        if not is_over_try_limit(request, self.group, typed):
            return super().post(request, *args, **kwargs)  # type: ignore[misc, no-any-return]
        messages.error(request, TOO_MANY_TRIES_MESSAGE)
        # An unbound form: validation would still reveal whether the password is right.
        form = self.get_form_class()(initial={self.field: typed})  # type: ignore[attr-defined]
        context = self.get_context_data(form=form)  # type: ignore[attr-defined]
        return self.render_to_response(context, status=429)  # type: ignore[attr-defined, no-any-return]


class LoginView(LimitedTriesMixin, auth.LoginView):
    group, field = "login", "username"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        reset_tries(self.group, form.cleaned_data["username"])
        return super().form_valid(form)


class PasswordResetView(LimitedTriesMixin, auth.PasswordResetView):
    group, field = "reset", "email"
    form_class = QueuedPasswordResetForm


@method_decorator(sensitive_post_parameters("password1", "password2"), name="dispatch")
class SignUpView(LimitedTriesMixin, FormView):
    group, field = "signup", "email"
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
        return super().form_valid(form)
