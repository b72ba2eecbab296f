"""The files that a job made, for its owner and staff.

A browser asks before it shows a copy again: whoever comes after a log-out sees none.
"""

from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.files.storage import FileSystemStorage, default_storage
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from whitenoise.responders import MissingFileError, StaticFile

from mediaapp.models import Report, Upload
from mediaapp.permissions import get_upload_or_404
from workers.csvimport.rejected_rows import stream_rejections
from workers.models import Job

PRESIGNED_SECONDS = 600


@require_safe
@login_required
@cache_control(private=True, no_cache=True)
def serve_video(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """`?download` saves it under the name of the uploaded file."""
    upload = get_upload_or_404(request, job_id)
    headers = {"Content-Type": "video/mp4"}
    if "download" in request.GET:
        name = f"{PurePath(upload.name).stem}.mp4"
        headers["Content-Disposition"] = content_disposition_header(True, name) or ""
    length = upload.job.result.get("after", {}).get("duration", 0)
    return serve_job_file(request, upload, upload.storage_name("video.mp4"), headers, length)


@require_safe
@login_required
@cache_control(private=True, no_cache=True)
def serve_poster(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    upload = get_upload_or_404(request, job_id)
    return serve_job_file(request, upload, upload.storage_name("poster.jpg"), {"Content-Type": "image/jpeg"})


@require_safe
@login_required
@cache_control(private=True, no_cache=True)
def download_rejected_rows(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    upload = get_upload_or_404(request, job_id)
    header = upload.job.result.get("header")
    if upload.kind != Upload.Kind.CSV or not header or not upload.has_source:
        raise Http404
    rows = stream_rejections(job_id, header, upload.job.result.get("delimiter", ","))
    response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
    name = f"{PurePath(upload.name).stem} to mend.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    return response


def serve_job_file(
    request: HttpRequest, subject: Upload | Report, name: str, headers: dict[str, str], length: float = 0
) -> HttpResponseBase:
    """Raises Http404 until the job is done. name: in default_storage. length: seconds of a video.

    A presigned URL outlives the video, because a player that seeks uses its first URL again.
    """
    if subject.job.state != Job.State.DONE:
        raise Http404
    if isinstance(default_storage, FileSystemStorage):
        return _serve_from_disk(request, default_storage.path(name), headers)
    headers = headers | {"Cache-Control": "private, no-store"}  # the next URL is another one
    parameters = {f"Response{header.replace('-', '')}": value for header, value in headers.items()}
    storage: Any = default_storage
    seconds = PRESIGNED_SECONDS + 2 * round(length)
    return HttpResponseRedirect(storage.url(name, parameters=parameters, expire=seconds, http_method=request.method))


def _serve_from_disk(request: HttpRequest, path: str, headers: dict[str, str]) -> FileResponse:
    """Whitenoise answers range requests, which players need to seek."""
    try:
        static_response = StaticFile(path, list(headers.items())).get_response(request.method, request.META)
    except (MissingFileError, FileNotFoundError):
        raise Http404 from None
    response = FileResponse(static_response.file or (), status=int(static_response.status))
    del response["Content-Type"]
    for key, value in static_response.headers:
        response[key] = value
    return response
