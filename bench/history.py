"""Database time of the doctor and of its page, with ten million task runs in the database."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from statistics import median

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django_celery_beat.schedulers import DatabaseScheduler

from bench.rows import Row
from config.celery import app
from workers.practices import registry

RUNS, HOURS, SAMPLES, ROUNDS = 10_000_000, 24 * 365, 2 * 60 * 24 * 30, 5
# Of a thousand runs, as many are of beat's tasks as it sends in 30 days (every 10 s, 10 s and 30 s).
FILL_RUNS = """
    INSERT INTO workers_taskrun
        (id, task, queue, worker, release, outcome, ended_at, wait_seconds, run_seconds, peak_bytes)
    SELECT n, kind.task, kind.queue, 'worker@host', 'v1', 'succeeded',
        now() - (%(runs)s - n) * interval '30 days' / %(runs)s, random(), random(), 80000000 + n %% 1000
    FROM generate_series(1, %(runs)s) AS n JOIN (VALUES
        (0, 25, 'workers.default.tasks.sweep_jobs', 'default'),
        (26, 51, 'workers.default.tasks.collect_runs', 'default'),
        (52, 59, 'workers.default.tasks.answer_canary', 'default'),
        (60, 799, 'workers.default.tasks.send_password_reset', 'urgent'),
        (800, 949, 'workers.video.tasks.transcode_video', 'video'),
        (950, 999, 'workers.highmem.tasks.import_catalogue', 'imports')
    ) AS kind (first, last, task, queue) ON n %% 1000 BETWEEN kind.first AND kind.last"""
FILL_HOURS = """
    INSERT INTO workers_taskhour
        (task, queue, hour, outcomes, runs, run_p50, run_p95, run_max, wait_p95, peak_p95)
    SELECT task, queue, date_trunc('hour', now()) - n * interval '1 hour', '{"succeeded": 100}', 100, 0.5, 0.95, 1,
        0.95, 80000000
    FROM generate_series(1, %(hours)s) AS n
    CROSS JOIN (SELECT DISTINCT task, queue FROM workers_taskrun WHERE id <= 1000) AS kind"""
FILL_SAMPLES = """
    INSERT INTO workers_queuesample (queue, taken_at, waiting, unacked, consumers, oldest_seconds)
    SELECT queue, now() - n * interval '30 seconds', 0, 0, 1, NULL
    FROM generate_series(1, %(samples)s) AS n
    CROSS JOIN unnest(ARRAY['urgent', 'default', 'video', 'imports', 'highmem', 'maintenance']) AS queue"""


def measure(*, quick: bool) -> Iterator[Row]:
    """The median of some rounds, on a database as it is after 30 days."""
    runs, hours, samples, rounds = (10_000, 48, 100, 1) if quick else (RUNS, HOURS, SAMPLES, ROUNDS)
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    began = time.monotonic()
    fill_tables(runs, hours, samples)
    seconds = time.monotonic() - began
    for name, run in {"doctor": run_doctor, "/practices/": load_page}.items():
        milliseconds = [database_milliseconds(run) for _ in range(rounds)]
        note = f"the first time {milliseconds[0]:.0f} ms; {runs:,} runs, filled in {seconds:.0f} s"
        yield Row(f"database time of {name}", median(milliseconds), "ms", at_most=100, note=note)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE workers_taskrun, workers_taskhour, workers_queuesample")


def fill_tables(runs: int, hours: int, samples: int) -> None:
    """Writes the rows and beat's entries, and vacuums the tables."""
    DatabaseScheduler(app).setup_schedule()
    with connection.cursor() as cursor:
        cursor.execute(FILL_RUNS, {"runs": runs})
        cursor.execute(FILL_HOURS, {"hours": hours})
        cursor.execute(FILL_SAMPLES, {"samples": samples})
        cursor.execute("VACUUM ANALYZE workers_taskrun, workers_taskhour, workers_queuesample")


def run_doctor() -> None:
    with suppress(SystemExit):
        call_command("doctor", stdout=StringIO())


def load_page() -> None:
    """As the first visitor for a while: nothing is cached."""
    registry.finding_cache.clear()
    Client().get("/practices/")


def database_milliseconds(run: Callable[[], None]) -> float:
    """What PostgreSQL spends on planning and executing the queries of `run`, parallel ones too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_statements_reset()")
        run()
        cursor.execute("SELECT sum(total_plan_time + total_exec_time) FROM pg_stat_statements WHERE toplevel")
        return float(cursor.fetchone()[0])
