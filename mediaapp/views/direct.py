"""The JSON API that opens, sends and closes an upload (docs/storage.md)."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from mediaapp.models import OpenUpload
from mediaapp.permissions import AuthenticatedRequest
from mediaapp.uploads import direct
from mediaapp.uploads.filetypes import UploadRejected
from mediaapp.uploads.quota import check_quota
from mediaapp.views.errors import wants_json
from mediaapp.views.library import LOG_IN_MESSAGE, job_urls, storage_message

log = logging.getLogger(__name__)

MAX_DIGITS = 18  # of the database's bigint
INCOMPLETE_MESSAGE = "Say the file's name and its size in bytes."
UPLOAD_GONE_MESSAGE = "This upload is no longer open. Choose the file again."


def json_endpoint(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Only for logged-in users. Each error becomes JSON with a message."""

    @wraps(view)
    @never_cache
    @require_POST
    def endpoint(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return _error(LOG_IN_MESSAGE, 403)
        try:
            return view(request, **kwargs)
        except OpenUpload.DoesNotExist:
            return _error(UPLOAD_GONE_MESSAGE, 404)
        except direct.FileNotArrivedError as error:
            return _error(str(error), 409)
        except UploadRejected as error:
            return _error(error.sentence, 422)
        except direct.TooManyOpenUploadsError as error:
            return _error(str(error), 429)
        except OSError as error:
            log.warning("direct_upload_failed error=%r", error)
            return _error(storage_message(error), 503)

    return endpoint


@json_endpoint
def open_upload(request: AuthenticatedRequest) -> JsonResponse:
    """Without a bucket there is no "close": the form's own response is that of close_upload()."""
    name, size, last_modified = (request.POST.get(field, "") for field in ("name", "size", "last_modified"))
    if not (name and _is_number(size)):
        return _error(INCOMPLETE_MESSAGE, 400)
    direct.check_size(int(size))
    if not settings.S3_BUCKET:
        check_quota(request.user, int(size))
        fields = {"csrfmiddlewaretoken": get_token(request)}
        return JsonResponse({"form": {"url": reverse("upload"), "fields": fields}}, status=201)
    modified = int(last_modified) if _is_number(last_modified) else None
    opened = direct.open_upload(request.user, name, int(size), modified)
    answer: dict[str, Any] = {action: reverse(f"{action}_upload", args=[opened.pk]) for action in ("close", "discard")}
    if opened.parts_id:
        sign = reverse("sign_part", args=[opened.pk])
        answer["parts"] = {"size": opened.part_size, "arrived": direct.list_part_numbers(opened), "sign": sign}
    else:
        answer["form"] = direct.build_form(opened)
    return JsonResponse(answer, status=201)


@json_endpoint
def sign_part(request: AuthenticatedRequest, upload_id: UUID) -> JsonResponse:
    opened = OpenUpload.objects.get(pk=upload_id, owner=request.user)
    number = request.POST.get("number", "")
    if not _is_number(number) or direct.part_length(opened, int(number)) < 1:
        return _error("There is no such part.", 400)
    return JsonResponse({"url": direct.sign_part(opened, int(number))})


@json_endpoint
def close_upload(request: AuthenticatedRequest, upload_id: UUID) -> JsonResponse:
    """May be repeated. 409 if the file has not arrived, 422 if it is rejected."""
    upload = direct.close_upload(request.user, upload_id)
    return JsonResponse(job_urls(upload.pk), status=201)


@json_endpoint
def discard_upload(request: AuthenticatedRequest, upload_id: UUID) -> HttpResponse:
    """The form of the library gets a redirect, even if the upload is gone."""
    if wants_json(request):
        direct.discard_upload(request.user, upload_id)
        return JsonResponse({})
    with suppress(OpenUpload.DoesNotExist):
        direct.discard_upload(request.user, upload_id)
    return redirect("library")


def _error(message: str, status: int) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
