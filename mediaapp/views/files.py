"""What a job made, for its owner and staff: the video, its poster, the rows to mend.

From the storage's disk we send it ourselves. From a bucket the browser fetches it, by a signed link that soon ends.
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
from workers.csvimport import rejects
from workers.models import Job

LINK_SECONDS = 600
REDIRECT_SECONDS = 300  # for which a browser may use a link again without asking us


@require_safe
@login_required
@cache_control(private=True, max_age=3600)
def video(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """The transcoded video; `?download` saves it under its owner's name."""
    upload = get_upload_or_404(request, job_id)
    headers = {"Content-Type": "video/mp4"}
    if "download" in request.GET:
        name = f"{PurePath(upload.name).stem}.mp4"
        headers["Content-Disposition"] = content_disposition_header(True, name) or ""
    length = upload.job.result.get("after", {}).get("duration", 0)
    return serve(request, upload, upload.beside("video.mp4"), headers, length)


@require_safe
@login_required
@cache_control(private=True, max_age=3600)
def poster(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """A frame of the video."""
    upload = get_upload_or_404(request, job_id)
    return serve(request, upload, upload.beside("poster.jpg"), {"Content-Type": "image/jpeg"})


@require_safe
@login_required
def rejected_rows(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    """The rows that could not go in, with line and reason, to mend and upload again."""
    upload = get_upload_or_404(request, job_id)
    header = upload.job.result.get("header")
    if upload.kind != Upload.Kind.CSV or not header:
        raise Http404
    rows = rejects.as_csv(job_id, header, upload.job.result.get("delimiter", ","))
    response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
    name = f"{PurePath(upload.name).stem} to mend.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    return response


def serve(
    request: HttpRequest, subject: Upload | Report, stored: str, headers: dict[str, str], length: float = 0
) -> HttpResponseBase:
    """A file that the subject's job has made, by its name in default_storage. Raises Http404 until the job is done.

    headers: its type, and how it is to be saved. length: of a video, in seconds: a player that seeks comes back with
    the link that it got at first.
    """
    if subject.job.state != Job.State.DONE:
        raise Http404
    if isinstance(default_storage, FileSystemStorage):
        return _send(request, default_storage.path(stored), headers)
    told = {f"Response{name.replace('-', '')}": value for name, value in headers.items()}
    storage: Any = default_storage
    seconds = LINK_SECONDS + 2 * round(length)
    response = HttpResponseRedirect(storage.url(stored, parameters=told, expire=seconds, http_method=request.method))
    response["Cache-Control"] = f"max-age={REDIRECT_SECONDS}"  # the view's is longer, and the shorter one counts
    return response


def _send(request: HttpRequest, path: str, headers: dict[str, str]) -> FileResponse:
    """A file of this machine. Ranges, for players that seek, are whitenoise's."""
    try:
        found = StaticFile(path, list(headers.items())).get_response(request.method, request.META)
    except (MissingFileError, FileNotFoundError):
        raise Http404 from None
    response = FileResponse(found.file or (), status=int(found.status))
    del response["Content-Type"]
    for key, value in found.headers:
        response[key] = value
    return response
