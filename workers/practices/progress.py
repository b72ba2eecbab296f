"""Practice 6: progress goes through the cache as JSON under the object's id, with a TTL; the final state is a row.

The trap: progress in a task's metadata belongs to one attempt, fills the result backend, and is shown to anybody.
"""

import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from workers.models import Job
from workers.practices import Finding
from workers.queues import load_tasks
from workers.task_source import endless_cache_writes

ObjectID = TypeVar("ObjectID")

KEY = "file_process_task_{}"
TTL = 3000  # seconds
# Progress is written again after so many seconds, if it moved by such a share of the whole.
WRITE_SECONDS = 0.4
MIN_SHARE = 0.001
HEARTBEAT_SECONDS = 2.0  # between two writes of any other one
STALE_AFTER = 10  # seconds without a write: a reader asks the row instead


class Progress:
    """owner: a user's id, in each report so that a poll needs no SQL."""

    def __init__(self, object_id: object, owner: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.key, self.owner, self.clock = KEY.format(object_id), owner, clock
        self.written, self.done = 0.0, 0.0
        self.stage, self.began = "", (0.0, 0.0)

    def report(self, done: float, total: float, stage: str, **figures: int) -> None:
        """Writes a few times a second at most, however often it is called.

        done, total: in any one unit; total is 0 if unknown. stage: what the page shows.
        """
        now = self.clock()
        is_new_stage = stage != self.stage
        if is_new_stage:
            self.stage, self.began = stage, (now, done)
        since, moved = now - self.written, abs(done - self.done)
        is_end = moved > 0 and done == total
        is_due = since >= HEARTBEAT_SECONDS or (since >= WRITE_SECONDS and moved > MIN_SHARE * total)
        if not (is_new_stage or is_end or is_due):
            return
        self.written, self.done = now, done
        seconds = now - self.began[0]
        rate = (done - self.began[1]) / seconds if seconds > 1 else 0.0
        state = {
            "owner": self.owner,
            "done": min(done, total) if total else done,
            "total": total,
            "stage": stage,
            "rate": round(rate, 2),
            "eta_seconds": round((total - done) / rate) if rate > 0 and total > done else None,
            "updated_at": time.time(),
            "figures": figures,
        }
        cache.set(self.key, state, TTL)


def read(object_id: object, max_age: float = STALE_AFTER) -> dict[str, Any] | None:
    """None if the last report is older than `max_age` seconds, or there is none."""
    state = read_many([object_id]).get(object_id)
    return state if state and silent_seconds(state) <= max_age else None


def read_many(object_ids: Iterable[ObjectID]) -> dict[ObjectID, dict[str, Any]]:
    """The last reports, of any age, by one command. Without one: before the first, after the end, without the cache."""
    ids = {KEY.format(object_id): object_id for object_id in object_ids}
    found = cache.get_many(ids)
    return {ids[key]: state for key, state in found.items() if isinstance(state, dict) and "updated_at" in state}


def silent_seconds(state: dict[str, Any]) -> float:
    return time.time() - float(state["updated_at"])


def clear(object_id: object) -> None:
    """Call it once the final state is in the row."""
    cache.delete(KEY.format(object_id))


def check() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    options = settings.CACHES["default"].get("OPTIONS", {})
    if cache.make_key("x") != "x" or "JSON" not in options.get("SERIALIZER", ""):
        hint = "In CACHES, KEY_FUNCTION must return the key as it is, and SERIALIZER be the JSON one."
        messages.append(Error("Progress would not be plain JSON under its own key.", hint=hint, id="practices.E601"))
    for module in sorted({__name__, *(task.__module__ for task in load_tasks().values())}):
        for call in endless_cache_writes(sys.modules[module]):
            hint = "Give it a timeout in seconds, as in `cache.set(key, value, progress.TTL)`."
            messages.append(Error(f"{module}: `{call}` sets no TTL.", hint=hint, id="practices.E602"))
    return messages


def verify() -> Finding:
    """ok while every progress key has a TTL, and every running job reports."""
    now = timezone.now()
    running = Job.objects.filter(state=Job.State.RUNNING, started_at__lt=now - timedelta(seconds=STALE_AFTER))
    try:
        redis = get_redis_connection("default")
        keys = list(redis.scan_iter(KEY.format("*"), count=500))
        endless = [key.decode() for key in keys if redis.ttl(key) == -1]
        starts = running.values_list("pk", "started_at")[:1000]
        ages = {pk: (now - started_at).total_seconds() for pk, started_at in starts if started_at}
        ages |= {pk: silent_seconds(report) for pk, report in read_many(ages).items()}
    except RedisError as error:
        return Finding(None, "unknown", f"The cache did not answer: {error}")
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    silent = [str(pk) for pk, age in ages.items() if age > STALE_AFTER]
    summary = f"{len(keys)} in progress, {len(silent)} silent, {len(endless)} without end"
    faults = [f"No TTL on {key}: the cache would fill. Delete it, and write it with one." for key in endless]
    if silent:
        faults.append(f"No report in the last {STALE_AFTER} s from {', '.join(silent)}: read its worker's log.")
    return Finding(not faults, summary, " ".join(faults), max(ages.values(), default=0.0))
