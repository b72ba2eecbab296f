"""The history of task runs: from the stream that practice 7 writes into rows, from rows into hours, and out again."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django_redis import get_redis_connection
from redis import Redis

from workers.models import TaskHour, TaskRun
from workers.postgres_copy import copy_rows
from workers.telemetry.recorder import ALIVE, STREAM

BATCH = 5_000
SILENT = 30  # seconds without a sign of life, after which a run counts as lost
KEEP_RUNS = timedelta(days=30)
KEEP_HOURS = timedelta(days=365)
CHUNK = 10_000  # rows of one DELETE: 0.1 s

COLUMNS = (
    *("id", "task", "queue", "worker", "release", "outcome"),
    *("ended_at", "wait_seconds", "run_seconds", "peak_bytes"),
)
COPY = f"COPY workers_taskrun ({', '.join(COLUMNS)}) FROM STDIN"
# Run times are those of runs that went to their end: a refused one takes no time at all.
FINISHED = "FILTER (WHERE outcome IN ('succeeded', 'failed'))"
COUNTED = ", ".join(f"'{name}', nullif(count(*) FILTER (WHERE outcome = '{name}'), 0)" for name in TaskRun.Outcome)
ROLL_UP = f"""
    INSERT INTO workers_taskhour
        (task, queue, hour, outcomes, runs, run_p50, run_p95, run_max, wait_p95, peak_p95)
    SELECT task, queue, date_trunc('hour', ended_at) AS hour,
        jsonb_strip_nulls(jsonb_build_object({COUNTED})),
        count(run_seconds) {FINISHED},
        percentile_cont(0.5) WITHIN GROUP (ORDER BY run_seconds) {FINISHED},
        percentile_cont(0.95) WITHIN GROUP (ORDER BY run_seconds) {FINISHED},
        max(run_seconds) {FINISHED},
        percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds),
        percentile_disc(0.95) WITHIN GROUP (ORDER BY peak_bytes)
    FROM workers_taskrun WHERE ended_at >= %s AND ended_at < %s GROUP BY task, queue, hour
    ON CONFLICT (hour, task, queue) DO UPDATE SET
        (outcomes, runs, run_p50, run_p95, run_max, wait_p95, peak_p95)
        = ROW (excluded.outcomes, excluded.runs, excluded.run_p50, excluded.run_p95, excluded.run_max,
            excluded.wait_p95, excluded.peak_p95)"""  # noqa: S608 (of our own constants)


def collect() -> int:
    """Moves every entry of the stream into a row, once. Returns how many. Raises RedisError, DatabaseError."""
    redis = get_redis_connection("locks")
    count_lost(redis)
    collected = 0
    while entries := redis.xrange(STREAM, count=BATCH):
        store({to_number(entry): json.loads(fields[b"run"]) for entry, fields in entries})
        collected += len(entries)
        # A crash before this reads them once more, and finds their rows.
        milliseconds, sequence = entries[-1][0].decode().split("-")
        redis.xtrim(STREAM, minid=f"{milliseconds}-{int(sequence) + 1}", approximate=False)
    return collected


def count_lost(redis: Redis) -> None:
    """Ends the runs that have given no sign of life: their process was killed, and no signal tells of it."""
    for key, value in redis.hgetall(ALIVE).items():
        run = json.loads(value)
        if time.time() - run["ended_at"] > SILENT:
            with redis.pipeline() as pipe:
                pipe.xadd(STREAM, {"run": value})
                pipe.hdel(ALIVE, key)
                pipe.execute()


def store(runs: dict[int, dict[str, Any]]) -> None:
    """Writes the runs whose rows are not there yet."""
    with transaction.atomic():
        known = set(TaskRun.objects.filter(pk__in=runs).values_list("pk", flat=True))
        copy_rows(COPY, (_row(number, run) for number, run in runs.items() if number not in known))


def _row(number: int, run: dict[str, Any]) -> list[Any]:
    run |= {"id": number, "ended_at": datetime.fromtimestamp(run["ended_at"], UTC)}
    return [run.get(column) for column in COLUMNS]


def to_number(entry: bytes) -> int:
    """The id of a stream's entry, `milliseconds-sequence`, as one number that keeps the order."""
    milliseconds, sequence = entry.decode().split("-")
    return int(milliseconds) << 20 | int(sequence)


def roll_up() -> None:
    """Computes the hours of the last two days again, so that late runs are in; more, if it was not done for longer.

    Day by day: what it did not finish before its time limit, the next one goes on with.
    """
    now = timezone.now()
    newest = TaskHour.objects.order_by("-hour").values_list("hour", flat=True).first() or now - KEEP_RUNS
    day = min(newest, now - timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        while day <= now:
            cursor.execute(ROLL_UP, [day, day + timedelta(days=1)])
            day += timedelta(days=1)


def delete_old() -> int:
    """Deletes what is too old to keep, in chunks, so that no lock is held for long. Returns how many runs."""
    TaskHour.objects.filter(hour__lt=timezone.now() - KEEP_HOURS).delete()
    first_kept = int((timezone.now() - KEEP_RUNS).timestamp() * 1000) << 20
    oldest = TaskRun.objects.filter(pk__lt=first_kept).order_by("pk").values_list("pk", flat=True)
    deleted = 0
    while chunk := list(oldest[:CHUNK]):
        deleted += TaskRun.objects.filter(pk__in=chunk).delete()[0]
    return deleted
