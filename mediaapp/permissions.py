"""Owners and staff see an upload, a report and their jobs; anybody else gets 404."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from mediaapp.models import Report, Upload, User
from workers.practices import progress


class AuthenticatedRequest(HttpRequest):
    """The type of a request behind @login_required."""

    user: User


View = Callable[..., HttpResponse]
VIEWER_COOKIE = "viewer"
VIEWER_COOKIE_SECONDS = 600  # after that, a poll reads the session from the database again


def login_required_for(page: str) -> Callable[[View], View]:
    """login_required for a view that takes a POST: after the login, the user gets the form's page.

    page: a URL name with the view's arguments.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.user.is_authenticated:
                return view(request, **kwargs)
            if request.method == "POST":
                messages.info(request, "You are logged out, so nothing was done. Log in, then do it once more.")
            login = redirect_to_login(reverse(page, kwargs=kwargs))
            # htmx would follow a redirect and swap in a part of the login page.
            return HttpResponseClientRedirect(login.url) if "HX-Request" in request.headers else login

        return checked

    return decorate


def get_upload_or_404(request: HttpRequest, job_id: UUID) -> Upload:
    """Raises Http404 unless the user is its owner or staff."""
    uploads = Upload.objects.select_related("job")
    if not request.user.is_authenticated:
        raise Http404
    if not request.user.is_staff:
        uploads = uploads.filter(owner=request.user)
    upload = uploads.filter(pk=job_id).first()
    if upload is None:
        raise Http404
    return upload


def get_subject_or_404(request: HttpRequest, job_id: UUID) -> Upload | Report:
    """Raises Http404 as get_upload_or_404() does."""
    try:
        return get_upload_or_404(request, job_id)
    except Http404:
        reports = Report.objects.select_related("job", "upload")
        report = reports.filter(pk=job_id).first() if request.user.is_authenticated else None
        if report is None or not (request.user.is_staff or report.owner == request.user):
            raise
        return report


def get_owned_upload_or_404(request: HttpRequest, job_id: UUID) -> Upload:
    """Raises Http404 for staff too."""
    upload = get_upload_or_404(request, job_id)
    if upload.owner_id != request.user.pk:
        raise Http404
    return upload


def set_viewer_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Lets polls identify the user without SQL. The session key is its salt: it is invalid beside another key.

    Whoever keeps both cookies may read for VIEWER_COOKIE_SECONDS after the session's end.
    """
    response.set_signed_cookie(
        VIEWER_COOKIE,
        f"{request.user.pk}{' staff' if request.user.is_staff else ''}",
        salt=str(request.session.session_key),
        max_age=VIEWER_COOKIE_SECONDS,
        path="/jobs/",
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def read_running_progress(request: HttpRequest, job_id: UUID) -> dict[str, Any] | None:
    """Uses no SQL. After None, call get_subject_or_404(), which checks the permission.

    A user who was deactivated may still read for VIEWER_COOKIE_SECONDS.
    """
    session = str(request.session.session_key)
    cookie = request.get_signed_cookie(VIEWER_COOKIE, default="", salt=session, max_age=VIEWER_COOKIE_SECONDS) or ""
    user_id, _, staff = cookie.partition(" ")
    current = progress.read(job_id) if user_id else None
    if current and (staff or str(current["owner"]) == user_id):
        return current
    return None
