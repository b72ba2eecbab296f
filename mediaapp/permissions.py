"""Who may see what: an upload, a report and their jobs are their owner's; staff see to them, and nobody else knows."""

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
    """A request behind @login_required, for the type checker."""

    user: User


View = Callable[..., HttpResponse]
COOKIE = "viewer"
COOKIE_AGE = 600  # seconds until a poll has to ask the session again


def login_required_on(page: str) -> Callable[[View], View]:
    """login_required for a view that takes a form: the login leads to the named page of the form, and not to the view.

    page: takes the view's own arguments. What the form said is gone with the session, and the login page says so.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.user.is_authenticated:
                return view(request, **kwargs)
            if request.method == "POST":
                messages.info(request, "You are logged out, so nothing was done. Log in, then do it once more.")
            login = redirect_to_login(reverse(page, kwargs=kwargs))
            # htmx would follow the redirect, and take the part that it looks for from the login page.
            return HttpResponseClientRedirect(login.url) if "HX-Request" in request.headers else login

        return checked

    return decorate


def get_upload_or_404(request: HttpRequest, job_id: UUID) -> Upload:
    """The upload with its job. Raises Http404 unless the request is its owner's or staff's."""
    uploads = Upload.objects.select_related("job")
    if not request.user.is_authenticated:
        raise Http404
    if not request.user.is_staff:
        uploads = uploads.filter(owner=request.user)
    upload = uploads.filter(pk=job_id).first()
    if upload is None:
        raise Http404
    return upload


def subject_for(request: HttpRequest, job_id: UUID) -> Upload | Report:
    """What a job is about, an upload or a report, with its job. Raises Http404 as get_upload_or_404 does."""
    try:
        return get_upload_or_404(request, job_id)
    except Http404:
        reports = Report.objects.select_related("job", "upload")
        report = reports.filter(pk=job_id).first() if request.user.is_authenticated else None
        if report is None or not (request.user.is_staff or report.owner == request.user):
            raise
        return report


def get_owned_upload_or_404(request: HttpRequest, job_id: UUID) -> Upload:
    """An upload for its owner alone: what a file's columns mean, staff do not decide. Raises Http404."""
    upload = get_upload_or_404(request, job_id)
    if upload.owner_id != request.user.pk:
        raise Http404
    return upload


def set_viewer_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Lets the polls of the next minutes prove who asks without the session's SQL: a signed cookie says it.

    It is signed for this session: worth nothing beside another one, or after the log-out, which ends the session.
    """
    response.set_signed_cookie(
        COOKIE,
        f"{request.user.pk}{' staff' if request.user.is_staff else ''}",
        salt=str(request.session.session_key),
        max_age=COOKIE_AGE,
        path="/jobs/",
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def progress_for(request: HttpRequest, job_id: UUID) -> dict[str, Any] | None:
    """A running job's progress from one read of the cache and no SQL. None: ask the row, by get_upload_or_404().

    Somebody deactivated meanwhile reads on for COOKIE_AGE at most.
    """
    session = str(request.session.session_key)
    cookie = request.get_signed_cookie(COOKIE, default="", salt=session, max_age=COOKIE_AGE) or ""
    user_id, _, staff = cookie.partition(" ")
    now = progress.read(job_id) if user_id else None
    if now and (staff or str(now["owner"]) == user_id):
        return now
    return None
