"""Liveness and readiness probes for a platform."""

from collections.abc import Callable
from threading import BoundedSemaphore

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection

from workers.deadline import run_with_deadline
from workers.runtime import publishing


def check_database() -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_cache() -> None:
    get_redis_connection("default").ping()


def check_locks() -> None:
    """Writes, because a full server answers a ping and refuses every lock."""
    get_redis_connection("locks").set("readyz", "", px=1000)


def check_broker() -> None:
    publishing.ping_broker()


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "cache": check_cache,
    "locks": check_locks,
    "broker": check_broker,
}
# Slots of its own, so that a page whose queries hang cannot make this probe report healthy servers as silent.
PROBE_SLOTS = BoundedSemaphore(2 * len(CHECKS))


@never_cache
@require_safe
def liveness(request: HttpRequest) -> HttpResponse:
    """Depends on no other server."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def readiness(request: HttpRequest) -> JsonResponse:
    """503 with the exception's name for each server that does not answer."""
    answers = {
        name: type(answer).__name__ if isinstance(answer, Exception) else "ok"
        for name, answer in run_with_deadline(CHECKS, PROBE_SLOTS).items()
    }
    ready = set(answers.values()) == {"ok"}
    return JsonResponse(answers | {"ready": ready}, status=200 if ready else 503)
