"""Owners and staff see an upload, a report and their jobs, staff see every job; anybody else gets 404.

Programs that watch the site show a token instead of a session.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.cache import cache
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django_htmx.http import HttpResponseClientRedirect

from mediaapp import viewers
from mediaapp.models import Report, Upload, User
from mediaapp.operations.staff_jobs import StaffJob
from workers.models import Job
from workers.practices import progress


class AuthenticatedRequest(HttpRequest):
    """The type of a request behind @login_required."""

    user: User


View = Callable[..., HttpResponse]
VIEWER_COOKIE = f"{settings.COOKIE_PREFIX}viewer"
STAFF_COOKIE = f"{settings.COOKIE_PREFIX}staff"
STAFF_SECONDS = 86_400
SESSION_UNKNOWN = "The database does not answer, which has the sessions. The token needs none.\n"


def login_required_for(page: str) -> Callable[[View], View]:
    """login_required for a view that takes a POST: after the login, the user gets the form's page.

    page: a URL name with the view's arguments.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.user.is_authenticated:
                return view(request, **kwargs)
            return lead_to_login(request, reverse(page, kwargs=kwargs))

        return checked

    return decorate


def staff_required(view: View) -> View:
    """404 for other users. Visitors log in first, and get their page, or /operations/ for a click or a poll."""

    @wraps(view)
    def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            is_page = request.method in ("GET", "HEAD") and "HX-Request" not in request.headers
            return lead_to_login(request, request.get_full_path() if is_page else reverse("operations"))
        if not request.user.is_staff:
            raise Http404
        response = view(request, **kwargs)
        _set_staff_cookie(request, response)
        return response

    return checked


def public_staff_required(view: View) -> View:
    """As staff_required. While the database is away, who was staff a moment ago sees it too, as AnonymousUser.

    For a page without secrets: nobody can tell then whether the session or the account has ended.
    """

    @wraps(view)
    def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            request.user.is_authenticated  # noqa: B018 - asks the database
        except Error:
            if not was_staff(request):
                raise
            request.user = AnonymousUser()
            return view(request, **kwargs)
        return staff_required(view)(request, **kwargs)

    return checked


def lead_to_login(request: HttpRequest, page: str) -> HttpResponse:
    """page: where the user gets to after it."""
    if request.method == "POST":
        messages.info(request, "You are logged out, so nothing was done. Log in, then do it once more.")
    login = redirect_to_login(page)
    # htmx would follow a redirect and swap in a part of the login page.
    return HttpResponseClientRedirect(login.url) if "HX-Request" in request.headers else login


def token_or_staff_required(view: View) -> View:
    """For programs with `Authorization: Bearer $METRICS_TOKEN`, and for staff. Everybody else gets 404.

    Never the login: an uptime monitor follows the redirect, and takes the login page's 200 for a healthy site. Nor a
    page for people: without the database, a session gets 503 as text, and the token its answer.
    """

    @wraps(view)
    def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            is_allowed = has_token(request) or (request.user.is_authenticated and request.user.is_staff)
        except Error:
            return HttpResponse(SESSION_UNKNOWN, status=503, content_type="text/plain")
        if is_allowed:
            return view(request, **kwargs)
        raise Http404

    return checked


def has_token(request: HttpRequest) -> bool:
    """False for everybody without a METRICS_TOKEN. Asks no server."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return (
        bool(settings.METRICS_TOKEN)
        and scheme.lower() == "bearer"
        and constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    )


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


def get_subject_or_404(request: HttpRequest, job_id: UUID) -> Upload | Report | StaffJob:
    """Raises Http404 as get_upload_or_404() does. The staff see jobs without an upload or report too."""
    try:
        return get_upload_or_404(request, job_id)
    except Http404:
        if not request.user.is_authenticated:
            raise
        report = Report.objects.select_related("job", "upload").filter(pk=job_id).first()
        if report and (request.user.is_staff or report.owner == request.user):
            return report
        job = Job.objects.select_related("owner").filter(pk=job_id).first() if request.user.is_staff else None
        if job is None:
            raise
        return StaffJob(job)


def get_owned_upload_or_404(request: HttpRequest, job_id: UUID) -> Upload:
    """Raises Http404 for staff too."""
    upload = get_upload_or_404(request, job_id)
    if upload.owner_id != request.user.pk:
        raise Http404
    return upload


def set_viewer_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Lets polls identify the user without SQL for TOKEN_SECONDS, or until a session of this user ends.

    The session key is its salt: it is invalid beside another key.
    """
    user = request.user
    response.set_signed_cookie(
        VIEWER_COOKIE,
        f"{user.pk} {viewers.read_or_create_token(user.pk)} {'staff' if user.is_staff else ''}",
        salt=str(request.session.session_key),
        max_age=viewers.TOKEN_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def _set_staff_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """For was_staff(). The session's key is its salt: it is invalid beside another key, and without one."""
    response.set_signed_cookie(
        STAFF_COOKIE,
        "staff",
        salt=_staff_salt(request),
        max_age=STAFF_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def is_staff(request: HttpRequest) -> bool:
    """False if the database is away."""
    try:
        return request.user.is_staff
    except Error:
        request.user = AnonymousUser()
        return False


def was_staff(request: HttpRequest) -> bool:
    """Whether this browser showed a page of the staff within STAFF_SECONDS. Asks no server."""
    salt = _staff_salt(request)
    return request.get_signed_cookie(STAFF_COOKIE, default="", salt=salt, max_age=STAFF_SECONDS) == "staff"


def _staff_salt(request: HttpRequest) -> str:
    """Not of request.session, which a request that failed early has not."""
    return f"staff {request.COOKIES.get(settings.SESSION_COOKIE_NAME)}"


def read_running_progress(request: HttpRequest, job_id: UUID) -> dict[str, Any] | None:
    """Uses no SQL and one command of the cache. After None, call get_subject_or_404(), which checks the permission."""
    session = str(request.session.session_key)
    cookie = request.get_signed_cookie(VIEWER_COOKIE, default="", salt=session, max_age=viewers.TOKEN_SECONDS)
    if not cookie or cookie.count(" ") != 2:  # one of an older release has no token
        return None
    user_id, token, staff = cookie.split(" ")
    if user_id in viewers.undeleted:
        return None
    progress_key, token_key = progress.KEY.format(job_id), viewers.token_key(user_id)
    found = cache.get_many([progress_key, token_key])
    current: dict[str, Any] = found.get(progress_key) or {}
    is_valid = current and found.get(token_key) == token and progress.silent_seconds(current) <= progress.STALE_AFTER
    return current if is_valid and (staff or str(current["owner"]) == user_id) else None
