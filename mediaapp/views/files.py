"""What a job made, for its owner and staff: the video, its poster, the rows to mend."""

from pathlib import PurePath
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from whitenoise.responders import MissingFileError, StaticFile

from mediaapp.access import upload_for
from mediaapp.models import Upload
from workers.highmem import rejects


@require_safe
@login_required
@cache_control(private=True, max_age=3600)
def video(request: HttpRequest, job_id: UUID) -> FileResponse:
    """The transcoded video; `?download` saves it under its owner's name."""
    upload = upload_for(request, job_id)
    headers = {"Content-Type": "video/mp4"}
    if "download" in request.GET:
        name = f"{PurePath(upload.name).stem}.mp4"
        headers["Content-Disposition"] = content_disposition_header(True, name) or ""
    return serve(request, _beside(upload, "video.mp4"), headers)


@require_safe
@login_required
@cache_control(private=True, max_age=3600)
def poster(request: HttpRequest, job_id: UUID) -> FileResponse:
    """A frame of the video."""
    return serve(request, _beside(upload_for(request, job_id), "poster.jpg"), {"Content-Type": "image/jpeg"})


@require_safe
@login_required
def rejected_rows(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    """The rows that could not go in, with line and reason, to mend and upload again."""
    upload = upload_for(request, job_id)
    header = upload.job.result.get("header")
    if upload.kind != Upload.Kind.CSV or not header:
        raise Http404
    rows = rejects.as_csv(job_id, header, upload.job.result.get("delimiter", ","))
    response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
    name = f"{PurePath(upload.name).stem} to mend.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    return response


def _beside(upload: Upload, name: str) -> str:
    """The name of a file beside the upload's source."""
    return str(PurePath(upload.file).with_name(name))


def serve(request: HttpRequest, stored: str, headers: dict[str, str]) -> FileResponse:
    """A file by its name in default_storage. Ranges, for players that seek, are whitenoise's."""
    try:
        found = StaticFile(default_storage.path(stored), list(headers.items())).get_response(
            request.method, request.META
        )
    except (MissingFileError, FileNotFoundError):
        raise Http404 from None
    response = FileResponse(found.file or (), status=int(found.status))
    del response["Content-Type"]
    for key, value in found.headers:
        response[key] = value
    return response
