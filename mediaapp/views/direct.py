"""How a file's upload is opened, sent and closed, for the page's script and for programs; all answers are JSON.

With a bucket the file goes straight to it, and the site only says where; else it goes through the site, at once.
"""

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
from mediaapp.views.library import SAY_AWAY, SAY_LOG_IN, addresses_of, wants_json

log = logging.getLogger(__name__)

MOST_DIGITS = 18  # that the database has numbers for
SAY_INCOMPLETE = "Say the file's name and its size in bytes."
SAY_GONE = "This upload is no longer open. Choose the file again."


def answers_json(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For POSTs of those who have logged in. What ends badly is told with a status and with words."""

    @wraps(view)
    @never_cache
    @require_POST
    def answer(request: HttpRequest, **named: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return _tell(SAY_LOG_IN, 403)
        try:
            return view(request, **named)
        except OpenUpload.DoesNotExist:
            return _tell(SAY_GONE, 404)
        except direct.NotThere as error:
            return _tell(str(error), 409)
        except UploadRejected as refused:
            return _tell(refused.sentence, 422)
        except direct.TooMany as error:
            return _tell(str(error), 429)
        except OSError as error:
            log.warning("a file cannot be sent now: %r", error)
            return _tell(SAY_AWAY, 503)

    return answer


@answers_json
def open_upload(request: AuthenticatedRequest) -> JsonResponse:
    """Takes `name`, `size` and `last_modified`; answers how the file is sent, and where that is closed or discarded.

    "form": the address and the fields of one form. "parts": their size, the numbers of those that have arrived, and
    where the others are signed. Without "close" the answer to the form is already that of the closed upload.
    """
    name, size, last_modified = (request.POST.get(field, "") for field in ("name", "size", "last_modified"))
    if not (name and _is_number(size)):
        return _tell(SAY_INCOMPLETE, 400)
    direct.refuse_size(int(size))
    if not settings.S3_BUCKET:
        fields = {"csrfmiddlewaretoken": get_token(request)}
        return JsonResponse({"form": {"url": reverse("upload"), "fields": fields}}, status=201)
    modified = int(last_modified) if _is_number(last_modified) else None
    opened = direct.begin(request.user, name, int(size), modified)
    how: dict[str, Any] = {action: reverse(f"{action}_upload", args=[opened.pk]) for action in ("close", "discard")}
    if opened.parts_id:
        sign = reverse("sign_part", args=[opened.pk])
        how["parts"] = {"size": opened.part_size, "arrived": direct.arrived_numbers(opened), "sign": sign}
    else:
        how["form"] = direct.form_for(opened)
    return JsonResponse(how, status=201)


@answers_json
def sign_part(request: AuthenticatedRequest, upload_id: UUID) -> JsonResponse:
    """Where the part with this `number` is PUT, and nothing but it."""
    opened = OpenUpload.objects.get(pk=upload_id, owner=request.user)
    number = request.POST.get("number", "")
    if not _is_number(number) or direct.length_of(opened, int(number)) < 1:
        return _tell("There is no such part.", 400)
    return JsonResponse({"url": direct.link_for_part(opened, int(number))})


@answers_json
def close_upload(request: AuthenticatedRequest, upload_id: UUID) -> JsonResponse:
    """201 with the addresses of the job, every time; 409 if the file has not arrived, 422 if it is refused."""
    upload = direct.close(request.user, upload_id)
    return JsonResponse(addresses_of(upload.pk), status=201)


@answers_json
def discard_upload(request: AuthenticatedRequest, upload_id: UUID) -> HttpResponse:
    """Forgets what has arrived."""
    if wants_json(request):
        direct.discard(request.user, upload_id)
        return JsonResponse({})
    with suppress(OpenUpload.DoesNotExist):
        direct.discard(request.user, upload_id)
    return redirect("library")


def _tell(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
