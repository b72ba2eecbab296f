"""What a platform asks: is the process up, and does everything that it needs answer?"""

from collections.abc import Callable
from threading import BoundedSemaphore

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection

from workers.deadline import run_with_deadline
from workers.runtime import publishing


def ask_database() -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_cache() -> None:
    get_redis_connection("default").ping()


def ask_locks() -> None:
    get_redis_connection("locks").ping()


def ask_broker() -> None:
    publishing.ask_broker()


NEEDS: dict[str, Callable[[], None]] = {
    "database": ask_database,
    "cache": ask_cache,
    "locks": ask_locks,
    "broker": ask_broker,
}
# Its own: a page whose questions hang must not make the probe call servers silent that answer.
SLOTS = BoundedSemaphore(2 * len(NEEDS))


@never_cache
@require_safe
def liveness(request: HttpRequest) -> HttpResponse:
    """This process serves requests."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def readiness(request: HttpRequest) -> JsonResponse:
    """200 if all that a request may need answers, else 503 with the names of what does not."""
    answers = {
        name: type(answer).__name__ if isinstance(answer, Exception) else "ok"
        for name, answer in run_with_deadline(NEEDS, SLOTS).items()
    }
    ready = set(answers.values()) == {"ok"}
    return JsonResponse(answers | {"ready": ready}, status=200 if ready else 503)
