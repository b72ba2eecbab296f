"""Liveness and readiness probes for a platform, and the practices for an uptime monitor."""

from collections.abc import Callable
from datetime import timedelta
from threading import BoundedSemaphore

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection

from mediaapp.permissions import token_or_staff_required
from workers.alarms import incidents
from workers.alarms.states import oldest_time, read_states
from workers.deadline import run_with_deadline
from workers.practices import registry
from workers.runtime import publishing

SILENT_AFTER = timedelta(seconds=60)  # four rounds of the monitor


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


@never_cache
@require_safe
@token_or_staff_required
def practices(request: HttpRequest) -> JsonResponse:
    """503 with the name and the reason of each practice that rings (docs/alarms.md), or if nobody measures them."""
    try:
        lasting = incidents.lasting(timezone.now())
        states = read_states()
    except DatabaseError as error:
        return JsonResponse({"status": "database away", "error": type(error).__name__}, status=503)
    measured_at = oldest_time(states)
    if measured_at is None or timezone.now() - measured_at > SILENT_AFTER:
        return JsonResponse({"status": "monitor silent", "measured_at": measured_at}, status=503)
    failing: dict[str, str] = {}
    young: dict[str, str] = {}
    for practice in registry.PRACTICES:
        if (state := states.get(practice.number)) and not state.ok:
            (failing if practice.number in lasting else young)[practice.title] = state.reason
    status = "failing" if failing else "ok"
    answer = {"status": status, "failing": failing, "young": young, "measured_at": measured_at}
    return JsonResponse(answer, status=503 if failing else 200)
