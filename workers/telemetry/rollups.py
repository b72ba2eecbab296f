"""The history of task runs: stream to rows (TaskRun) and totals (TaskTotal) to hours (TaskHour), and their retention.

A crash writes no run twice, because the id of a row is that of its stream entry.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django_redis import get_redis_connection
from redis import Redis

from workers.models import TaskHour, TaskRun
from workers.postgres_copy import copy_rows
from workers.telemetry.outcomes import FINISHED
from workers.telemetry.recorder import HEARTBEATS, STREAM, Run, run_killed
from workers.telemetry.task_totals import add_to_totals

BATCH_ENTRIES = 5_000
LOST_AFTER_SECONDS = 30  # without a heartbeat
DELETE_ROWS = 10_000  # of one statement: 0.1 s
COLLECT_SECONDS = 4  # of one call: urgent tasks share the worker

COLUMNS = (
    *("id", "task", "queue", "worker", "release", "outcome"),
    *("ended_at", "wait_seconds", "run_seconds", "peak_bytes", "job_id", "error"),
)
COPY = f"COPY workers_taskrun ({', '.join(COLUMNS)}) FROM STDIN"
# A refused run takes no time, and the wait of a handed-back job is in its last run.
OF_FINISHED = f"FILTER (WHERE outcome IN {FINISHED})"
# The columns of TaskHour beside its counts, and how runs make them.
FIGURES = {
    "run_p50": f"percentile_cont(0.5) WITHIN GROUP (ORDER BY run_seconds) {OF_FINISHED}",
    "run_p95": f"percentile_cont(0.95) WITHIN GROUP (ORDER BY run_seconds) {OF_FINISHED}",
    "run_max": f"max(run_seconds) {OF_FINISHED}",
    "wait_p50": f"percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_seconds) {OF_FINISHED}",
    "wait_p95": f"percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds) {OF_FINISHED}",
    "wait_max": f"max(wait_seconds) {OF_FINISHED}",
    "peak_p95": "percentile_disc(0.95) WITHIN GROUP (ORDER BY peak_bytes)",
    "peak_max": "max(peak_bytes)",
}
COUNTED = ", ".join(f"'{name}', nullif(count(*) FILTER (WHERE outcome = '{name}'), 0)" for name in TaskRun.Outcome)
OUTCOMES = f"jsonb_strip_nulls(jsonb_build_object({COUNTED}))"
ROLL_UP = f"""
    INSERT INTO workers_taskhour
        (task, queue, hour, outcomes, runs, {", ".join(FIGURES)})
    SELECT task, queue, date_trunc('hour', ended_at) AS hour,
        {OUTCOMES},
        count(run_seconds) {OF_FINISHED},
        {", ".join(FIGURES.values())}
    FROM workers_taskrun WHERE ended_at >= %s AND ended_at < %s GROUP BY task, queue, hour
    ON CONFLICT (hour, task, queue) DO UPDATE SET
        (outcomes, runs, {", ".join(FIGURES)})
        = ROW (excluded.outcomes, excluded.runs, {", ".join(f"excluded.{name}" for name in FIGURES)})"""  # noqa: S608 (of our own constants)


def collect_runs() -> int:
    """Returns how many; the next call goes on with the rest. Raises RedisError, DatabaseError."""
    redis = get_redis_connection("locks")
    _end_lost_runs(redis)
    collected, stop_at = 0, time.monotonic() + COLLECT_SECONDS
    while time.monotonic() < stop_at and (entries := redis.xrange(STREAM, count=BATCH_ENTRIES)):
        runs = {row_id(entry): json.loads(fields[b"run"]) for entry, fields in entries}
        store_runs(runs)
        collected += len(entries)
        # After a crash before this line they are read again, and their rows are there.
        milliseconds, sequence = entries[-1][0].decode().split("-")
        redis.xtrim(STREAM, minid=f"{milliseconds}-{int(sequence) + 1}", approximate=False)
        for run in runs.values():
            if "span" in run:
                run_killed.send_robust(Run, run=run)  # logs a receiver's error
    return collected


def _end_lost_runs(redis: Redis) -> None:
    for key, value in redis.hgetall(HEARTBEATS).items():
        run = json.loads(value)
        if time.time() - run["ended_at"] > LOST_AFTER_SECONDS:
            with redis.pipeline() as pipe:
                pipe.xadd(STREAM, {"run": value})
                pipe.hdel(HEARTBEATS, key)
                pipe.execute()


def store_runs(runs: dict[int, dict[str, Any]]) -> None:
    """runs: records by the id of their row. Stores and counts each once, whoever stores it a second time."""
    with transaction.atomic():
        # Their range, because 5,000 parameters take more time than the answer.
        known = set(TaskRun.objects.filter(pk__range=(min(runs), max(runs))).values_list("pk", flat=True))
        new = {number: run for number, run in runs.items() if number not in known}
        copy_rows(COPY, (_row(number, run) for number, run in new.items()))
        add_to_totals(new.values())


def _row(number: int, run: dict[str, Any]) -> list[Any]:
    run = {"error": ""} | run | {"id": number, "ended_at": datetime.fromtimestamp(run["ended_at"], UTC)}
    return [run.get(column) for column in COLUMNS]


def row_id(entry: bytes) -> int:
    """Keeps the order of the entries."""
    milliseconds, sequence = entry.decode().split("-")
    return int(milliseconds) << 20 | int(sequence)


def roll_up_hours() -> None:
    """Computes the last two days anew, so that late runs count. After a time limit the next call goes on."""
    now = timezone.now()
    day = first_hour(TaskHour.objects.order_by("-hour").values_list("hour", flat=True).first())
    with connection.cursor() as cursor:
        while day <= now:
            cursor.execute(ROLL_UP, [day, day + timedelta(days=1)])
            day += timedelta(days=1)


def first_hour(newest: datetime | None) -> datetime:
    """Of a rollup: the retention has deleted no row of it. newest: the hour that the last rollup reached."""
    now = timezone.now()
    whole = now - kept_runs() + timedelta(hours=2)
    first = max(whole, min(newest or whole, now - timedelta(days=2)))
    return first.replace(minute=0, second=0, microsecond=0)


def kept_runs() -> timedelta:
    return timedelta(days=settings.KEEP_RUNS_DAYS)


def delete_old_runs() -> int:
    """Deletes one chunk, so that no lock is held for long."""
    first_kept = int((timezone.now() - kept_runs()).timestamp() * 1000) << 20
    oldest = TaskRun.objects.filter(pk__lt=first_kept).order_by("pk").values_list("pk", flat=True)
    return TaskRun.objects.filter(pk__in=list(oldest[:DELETE_ROWS])).delete()[0]


def delete_old_hours() -> int:
    """Deletes one chunk."""
    old = TaskHour.objects.filter(hour__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS))
    return TaskHour.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:DELETE_ROWS])).delete()[0]
