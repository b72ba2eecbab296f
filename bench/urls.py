"""The site's URLs, and two views that ask Celery's result backend about a task, as most sites do."""

from typing import Any

from celery import Celery
from celery.result import AsyncResult
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

result_app = Celery("results", backend="django-db", set_as_current=False)


@never_cache
@require_safe
def public_result(request: HttpRequest, task_id: str) -> JsonResponse:
    """As celery-progress does it: anybody with the id gets the answer."""
    result: Any = AsyncResult(task_id, app=result_app)
    return JsonResponse({"state": result.state, "info": result.info})


private_result = login_required(public_result)

urlpatterns = [
    path("", include("config.urls")),
    path("results/<str:task_id>/public.json", public_result),
    path("results/<str:task_id>/private.json", private_result),
]
