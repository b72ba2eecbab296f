"""The site's addresses, and the same question put to Celery's result backend, as most sites put it."""

from typing import Any

from celery import Celery
from celery.result import AsyncResult
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

asked = Celery("asked", backend="django-db", set_as_current=False)


@never_cache
@require_safe
def tell_anybody(request: HttpRequest, task_id: str) -> JsonResponse:
    """As celery-progress and its like do it: who knows the id gets the answer."""
    result: Any = AsyncResult(task_id, app=asked)
    return JsonResponse({"state": result.state, "info": result.info})


tell_signed_in = login_required(tell_anybody)

urlpatterns = [
    path("", include("config.urls")),
    path("asked/<str:task_id>/anybody.json", tell_anybody),
    path("asked/<str:task_id>/signed-in.json", tell_signed_in),
]
