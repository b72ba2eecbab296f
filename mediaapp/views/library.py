"""The library: what somebody has uploaded, and the place to upload more."""

import logging
from typing import cast
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from mediaapp.models import Upload
from mediaapp.permissions import AuthenticatedRequest
from mediaapp.uploads.filetypes import UploadRejected
from mediaapp.uploads.receive import LimitedUploadHandler, most_through_site, receive
from workers import jobs

log = logging.getLogger(__name__)

PER_PAGE = 25
POLL_AFTER = 5  # seconds until a library in which something moves asks again
SAY_LOG_IN = "Log in first."
SAY_AWAY = "Our storage of files does not answer at the moment."


@never_cache
@require_safe
@login_required
def show_library(request: AuthenticatedRequest) -> HttpResponse:
    """The newest uploads first, each with its state."""
    uploads = Upload.objects.filter(owner=request.user).select_related("job").order_by("-created_at")
    page = Paginator(uploads, PER_PAGE).get_page(request.GET.get("page"))
    rows = [(upload, jobs.state_of(upload.job)) for upload in page.object_list]
    moves = any(upload.job.is_active for upload, _ in rows)
    context = {
        "page": page,
        "rows": rows,
        "poll_after": POLL_AFTER if moves else None,
        "max_video_bytes": settings.MAX_VIDEO_BYTES,
        "max_csv_bytes": settings.MAX_CSV_BYTES,
        "max_form_bytes": most_through_site(),
        "unfinished": request.user.open_uploads.order_by("-opened_at"),
    }
    return render(request, "library/library.html", context)


# CSRF is checked inside: its check reads the whole body, which an anonymous request must not make us store.
@csrf_exempt
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Takes one or more files in the field `file`. 302 to the job, or JSON with 201 where JSON is accepted."""
    if not request.user.is_authenticated:
        if wants_json(request):
            return JsonResponse({"error": SAY_LOG_IN}, status=403)
        return redirect("login")
    request.upload_handlers.insert(0, LimitedUploadHandler(request))
    return _upload(cast(AuthenticatedRequest, request))


@csrf_protect
def _upload(request: AuthenticatedRequest) -> HttpResponse:
    received: list[Upload] = []
    problems: list[str] = []
    for file in request.FILES.getlist("file"):
        try:
            received.append(receive(request.user, file))
        except UploadRejected as refused:
            problems.append(f"{file.name}: {refused.sentence}")
        except OSError as error:
            log.warning("a file cannot be stored now: %r", error)
            problems.append(f"{file.name}: {SAY_AWAY} Nothing of it is kept.")
    problems += LimitedUploadHandler.problems_of(request)
    if not received and not problems:
        problems.append("No file arrived. Choose one, then upload it.")
    return _tell(received, problems) if wants_json(request) else _show(request, received, problems)


def _tell(received: list[Upload], problems: list[str]) -> JsonResponse:
    """The first that was taken, for programs send one file at a time, and why any was not."""
    answer = {"error": " ".join(problems)} if problems else {}
    if not received:
        return JsonResponse(answer, status=422)
    return JsonResponse(answer | addresses_of(received[0].pk), status=201)


def addresses_of(job_id: UUID) -> dict[str, str]:
    """What a program is told of a job that has begun."""
    return {
        "id": str(job_id),
        "page": reverse("job", args=[job_id]),
        "progress": reverse("progress_json", args=[job_id]),
    }


def _show(request: HttpRequest, received: list[Upload], problems: list[str]) -> HttpResponse:
    for problem in problems:
        messages.error(request, problem)
    if len(received) == 1 and not problems:
        return redirect("job", received[0].pk)
    return redirect("library")


def wants_json(request: HttpRequest) -> bool:
    """Whether the client asks for JSON by name; a browser's */* does not."""
    return "application/json" in request.headers.get("Accept", "")
