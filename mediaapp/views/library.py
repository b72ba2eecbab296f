"""The user's uploads, and the form to upload more."""

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
from mediaapp.uploads.receive import LimitedUploadHandler, max_bytes_through_site, store_upload
from mediaapp.views.errors import wants_json
from workers import jobs
from workers.storage.errors import StorageRefusedError

log = logging.getLogger(__name__)

PER_PAGE = 25
POLL_AFTER = 5  # seconds between polls of a library with unfinished jobs
LOG_IN_MESSAGE = "Log in first."
STORAGE_AWAY_MESSAGE = "Our storage of files does not answer at the moment."
STORAGE_REFUSED_MESSAGE = (
    "Our storage of files refuses us: a setting of ours is wrong. Our staff can see it; try later."
)


@never_cache
@require_safe
@login_required
def show_library(request: AuthenticatedRequest) -> HttpResponse:
    uploads = Upload.objects.filter(owner=request.user).select_related("job").order_by("-created_at")
    page = Paginator(uploads, PER_PAGE).get_page(request.GET.get("page"))
    uploads_of_page = list(page.object_list)
    rows = list(zip(uploads_of_page, jobs.states_of([upload.job for upload in uploads_of_page]), strict=True))
    has_active = any(upload.job.is_active for upload, _ in rows)
    context = {
        "page": page,
        "rows": rows,
        "poll_after": POLL_AFTER if has_active else None,
        "max_video_bytes": settings.MAX_VIDEO_BYTES,
        "max_csv_bytes": settings.MAX_CSV_BYTES,
        "max_form_bytes": max_bytes_through_site(),
        "open_uploads": request.user.open_uploads.order_by("-opened_at"),
    }
    return render(request, "library/library.html", context)


# _receive_files() checks CSRF. The check reads the whole body, which an anonymous request must not make us store.
@csrf_exempt
@require_POST
def upload_files(request: HttpRequest) -> HttpResponse:
    """Takes files in the field `file`. Answers with JSON if the client accepts it."""
    if not request.user.is_authenticated:
        if wants_json(request):
            return JsonResponse({"error": LOG_IN_MESSAGE}, status=403)
        return redirect("login")
    request.upload_handlers.insert(0, LimitedUploadHandler(request))
    return _receive_files(cast(AuthenticatedRequest, request))


@csrf_protect
def _receive_files(request: AuthenticatedRequest) -> HttpResponse:
    uploads: list[Upload] = []
    problems: list[str] = []
    for file in request.FILES.getlist("file"):
        try:
            uploads.append(store_upload(request.user, file))
        except UploadRejected as error:
            problems.append(f"{file.name}: {error.sentence}")
        except OSError as error:
            log.warning("upload_store_failed error=%r", error)
            problems.append(f"{file.name}: {storage_message(error)} Nothing of it is kept.")
    problems += LimitedUploadHandler.rejections_of(request)
    if not uploads and not problems:
        problems.append("No file arrived. Choose one, then upload it.")
    return _answer_program(uploads, problems) if wants_json(request) else _answer_browser(request, uploads, problems)


def _answer_program(uploads: list[Upload], problems: list[str]) -> JsonResponse:
    """Programs send one file at a time."""
    answer = {"error": " ".join(problems)} if problems else {}
    if not uploads:
        return JsonResponse(answer, status=422)
    return JsonResponse(answer | job_urls(uploads[0].pk), status=201)


def storage_message(error: OSError) -> str:
    return STORAGE_REFUSED_MESSAGE if isinstance(error, StorageRefusedError) else STORAGE_AWAY_MESSAGE


def job_urls(job_id: UUID) -> dict[str, str]:
    return {
        "id": str(job_id),
        "page": reverse("job", args=[job_id]),
        "progress": reverse("progress_json", args=[job_id]),
    }


def _answer_browser(request: HttpRequest, uploads: list[Upload], problems: list[str]) -> HttpResponse:
    for problem in problems:
        messages.error(request, problem)
    if len(uploads) == 1 and not problems:
        return redirect("job", uploads[0].pk)
    return redirect("library")
