"""What staff have paused. The truth is the table Pause; workers read a copy (pause_copy.py).

The copy is written at the click and every few seconds by the leading beat, so a flush of its server heals.
"""

import logging
from collections.abc import Iterable

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django_celery_beat.models import PeriodicTask
from redis.exceptions import RedisError

from workers.models import Pause
from workers.queues import table
from workers.telemetry import pause_copy

log = logging.getLogger(__name__)

COPY_LOCK = 7_061_853  # an advisory lock of the database


def paused_queues() -> dict[str, Pause]:
    """By name. Raises DatabaseError."""
    return _by_name(Pause.Kind.QUEUE)


def paused_entries() -> dict[str, Pause]:
    """By name. Raises DatabaseError."""
    return _by_name(Pause.Kind.ENTRY)


def _by_name(kind: str) -> dict[str, Pause]:
    return {pause.name: pause for pause in Pause.objects.filter(kind=kind).order_by("name")}


def pauses_of_task(name: str) -> list[Pause]:
    """Of its recurring entries, and of its queue. Raises DatabaseError."""
    entries = PeriodicTask.objects.filter(task=name).values("name")
    queue = table().routes.get(name, {}).get("queue", "")
    stopped = Q(kind=Pause.Kind.ENTRY, name__in=entries) | Q(kind=Pause.Kind.QUEUE, name=queue)
    return list(Pause.objects.filter(stopped).order_by("name"))


def without_paused(queues: Iterable[str]) -> list[str]:
    """Raises DatabaseError."""
    paused = set(Pause.objects.filter(kind=Pause.Kind.QUEUE).values_list("name", flat=True))
    return [queue for queue in queues if queue not in paused]


def with_pauses(summary: str, pauses: Iterable[Pause]) -> str:
    """Adds who paused what, and since when, to the summary of a finding."""
    return "; ".join([summary, *(pause.sentence for pause in pauses)])


def pause(kind: str, name: str, by: str) -> bool:
    """False if it was paused before: who paused it first stays."""
    return Pause.objects.get_or_create(kind=kind, name=name, defaults={"paused_by": by})[1]


def resume(kind: str, name: str) -> bool:
    """False if it was not paused."""
    return bool(Pause.objects.filter(kind=kind, name=name).delete()[0])


def write_copy() -> None:
    """Call it after the transaction that changed the table. Raises DatabaseError, RedisError."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Else two writers could put an older copy in place of a newer one.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [COPY_LOCK])
        queues = paused_queues().items()
        pause_copy.write({name: (each.paused_by, each.paused_at) for name, each in queues})


def refresh_copy() -> None:
    """The leading beat calls it every few seconds. Only logs that a server is away."""
    try:
        write_copy()
    except (DatabaseError, RedisError) as error:
        log.warning("paused_queues_not_copied error=%r", error)
