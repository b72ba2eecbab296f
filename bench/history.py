"""Database time of the doctor and of the pages of the staff, on a database as it is after a year.

A page of yours: add it to QUESTIONS, and what it reads to FILLS.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from io import StringIO
from statistics import median, quantiles
from typing import Any
from urllib.parse import quote

from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler

from bench.rows import Row
from config.celery import app
from mediaapp.models import User
from workers.brokers.state import CACHE_KEY as BROKER_STATE
from workers.models import PracticeState
from workers.practices import registry
from workers.queues import table

RUNS, JOBS, HOURS, SAMPLES, ROUNDS = 10_000_000, 1_000_000, 24 * 365, 2 * 60 * 24 * 30, 5
SCRAPES, TOKEN, OPENMETRICS = 200, "x" * 32, "application/openmetrics-text;version=1.0.0"
# Everything, a common text, a rare one, none, two common ones, and fields.
SEARCHES = (
    "",
    "holiday",
    "user77",
    "IMG-0a1b2",
    "nothing-at-all",
    "lecture price",
    "owner:user1 state:failed",
    "since:1d",
)
BUSIEST_TASK = "workers.default.tasks.send_password_reset"
# Of a thousand runs, as many are of beat's tasks as it sends in 30 days (every 10 s, 10 s and 30 s).
FILL_RUNS = """
    INSERT INTO workers_taskrun (id, task, queue, worker, release, outcome, error, ended_at, wait_seconds, run_seconds,
        peak_bytes)
    SELECT n, kind.task, kind.queue, 'worker@host', 'v1', CASE WHEN n %% 997 <> 0 THEN 'succeeded' ELSE 'failed' END,
        CASE WHEN n %% 997 <> 0 THEN '' ELSE repeat('a line of a traceback ', 50) END,
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
    INSERT INTO workers_taskhour (task, queue, hour, outcomes, runs, run_p50, run_p95, run_max, wait_p50, wait_p95,
        wait_max, peak_p95, peak_max)
    SELECT task, queue, date_trunc('hour', now()) - n * interval '1 hour', '{"succeeded": 99, "failed": 1}', 100, 0.5,
        0.95, random(), 0.5, 0.95, 1, 80000000, 81000000
    FROM generate_series(1, %(hours)s) AS n
    CROSS JOIN (SELECT DISTINCT task, queue FROM workers_taskrun WHERE id <= 1000) AS kind"""
FILL_SAMPLES = """
    INSERT INTO workers_queuesample (queue, taken_at, waiting, unacked, consumers, oldest_seconds, finished)
    SELECT queue, now() - n * interval '30 seconds', n %% 50, 1, 1, n %% 90, %(samples)s - n
    FROM generate_series(1, %(samples)s) AS n CROSS JOIN unnest(%(queues)s::text[]) AS queue"""
FILL_QUEUE_HOURS = """
    INSERT INTO workers_queuehour (queue, hour, waiting_p50, waiting_max, oldest_max, arrived, finished)
    SELECT queue, date_trunc('hour', now()) - n * interval '1 hour', 5, n %% 90, n %% 200, 300, 299
    FROM generate_series(0, %(hours)s) AS n CROSS JOIN unnest(%(queues)s::text[]) AS queue"""
FILL_USERS = """
    INSERT INTO mediaapp_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
        date_joined)
    SELECT '', false, 'user' || n, '', '', 'user' || n || '@example.com', false, true, now()
    FROM generate_series(1, 4096) AS n"""
FILL_UPLOADS = """
    INSERT INTO mediaapp_upload (job_id, owner_id, kind, name, file, size, created_at)
    SELECT id, owner_id, 'video', (ARRAY['holiday', 'interview', 'lecture', 'IMG'])[1 + abs(hashtext(id::text)::bigint)
        %% 4] || '-' || left(md5(id::text), 6) || '.mp4', 'uploads/' || id || '/source', 1000, created_at
    FROM workers_job"""
# A year of jobs: one of a hundred failed, and the newest thousand wait. A third of them are of one owner.
FILL_JOBS = """
    INSERT INTO workers_job (id, owner_id, task, queue, arguments, state, message, error, error_fingerprint, detail,
        result, checkpoint, attempt, deaths, worker, created_at, queued_at, started_at, finished_at)
    SELECT gen_random_uuid(), first.id + CASE WHEN n %% 3 = 0 THEN 0 ELSE hashint4(n) & 4095 END,
        'workers.video.tasks.transcode_video', (%(queues)s::text[])[1 + n %% 6], '{}',
        CASE WHEN waits THEN 'queued' WHEN n %% 100 = 0 THEN 'failed' ELSE 'done' END, '',
        CASE WHEN n %% 100 = 0 THEN 'ValueError: bad price in row ' || n ELSE '' END,
        CASE WHEN n %% 100 = 0 THEN left(md5((n / 100 %% 50)::text), 16) ELSE '' END, '', '{}', '{}', 1, 0,
        'video@host', at, at, at, CASE WHEN waits THEN NULL ELSE at END
    FROM (SELECT min(id) AS id FROM mediaapp_user WHERE username LIKE 'user%%') AS first
    CROSS JOIN generate_series(1, %(jobs)s) AS n
    CROSS JOIN LATERAL (SELECT now() - (%(jobs)s - n) * interval '365 days' / %(jobs)s AS at,
        n > %(jobs)s - 1000 AS waits) AS moment"""
FILL_DEPLOYS = """
    INSERT INTO workers_deploy (release, began_at)
    SELECT 'v' || n, now() - n * interval '1 day' FROM generate_series(1, 365) AS n"""
FILL_TOTALS = """
    INSERT INTO workers_tasktotal (task, queue, outcomes, run_buckets, run_seconds, wait_buckets, wait_seconds)
    SELECT task, queue, '{"succeeded": 990000, "failed": 10000}', '{"0.5": 900000, "1.0": 100000}', 500000,
        '{"0.02": 900000, "1.0": 100000}', 50000
    FROM unnest(%(tasks)s::text[], %(queues_of_tasks)s::text[]) AS pair (task, queue)"""
FILL_FINDINGS = """
    INSERT INTO workers_findingsample (number, taken_at, ok, figure)
    SELECT number, now() - n * interval '1 minute', n %% 100 > 0, n %% 90
    FROM generate_series(1, %(samples)s / 2) AS n CROSS JOIN generate_series(1, 9) AS number"""
FILL_STATES = """
    INSERT INTO workers_practicestate (number, ok, summary, reason, since, measured_at)
    SELECT number, true, '', '', now(), now() + interval '1 day' FROM generate_series(1, 9) AS number"""
# What fills a table, by the table's name.
FILLS = {
    "workers_taskrun": FILL_RUNS,
    "workers_taskhour": FILL_HOURS,
    "workers_queuesample": FILL_SAMPLES,
    "workers_queuehour": FILL_QUEUE_HOURS,
    "mediaapp_user": FILL_USERS,
    "workers_job": FILL_JOBS,
    "mediaapp_upload": FILL_UPLOADS,
    "workers_deploy": FILL_DEPLOYS,
    "workers_tasktotal": FILL_TOTALS,
    "workers_findingsample": FILL_FINDINGS,
    "workers_practicestate": FILL_STATES,
}


def run_doctor() -> None:
    with suppress(SystemExit):
        call_command("doctor", stdout=StringIO())


def load_page(path: str, *, is_staff: bool = True) -> None:
    """As the first one for a while: nothing is cached."""
    registry.finding_cache.clear()
    client = Client()
    if is_staff:
        client.force_login(User.objects.get_or_create(username="staff", is_staff=True)[0])
    response = client.get(path)
    if response.status_code != 200:
        raise AssertionError(f"{path} answered {response.status_code}")


def load_overview_without_monitor() -> None:
    """It measures the practices itself."""
    PracticeState.objects.update(measured_at=timezone.now() - timedelta(hours=1))
    load_page("/operations/")
    PracticeState.objects.update(measured_at=timezone.now() + timedelta(days=1))


# What is measured, by its name in the table.
QUESTIONS: dict[str, Callable[[], None]] = {
    "doctor": run_doctor,
    "/practices/": partial(load_page, "/practices/", is_staff=False),
    "a queue's page": partial(load_page, "/operations/queues/video/"),
    "a queue's page, a year": partial(load_page, "/operations/queues/video/?period=year"),
    "the busiest task's page": partial(load_page, f"/operations/tasks/{BUSIEST_TASK}/"),
    "the busiest task's page, a year": partial(load_page, f"/operations/tasks/{BUSIEST_TASK}/?period=year"),
    "/operations/": partial(load_page, "/operations/"),
    "/operations/, beat is down": load_overview_without_monitor,
    "/operations/capacity/": partial(load_page, "/operations/capacity/"),
    "a practice's page": partial(load_page, "/practices/8/"),
    **{f"the search “{query}”": partial(load_page, f"/operations/jobs/?q={quote(query)}") for query in SEARCHES},
    "failures by error": partial(load_page, "/operations/jobs/?group=error"),
    "/operations/workers/": partial(load_page, "/operations/workers/"),
    "/metrics": partial(load_page, "/metrics"),
}


def measure(*, quick: bool) -> Iterator[Row]:
    """The median of some rounds."""
    runs, jobs, hours, samples, rounds = (10_000, 2_000, 48, 100, 1) if quick else (RUNS, JOBS, HOURS, SAMPLES, ROUNDS)
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    began = time.monotonic()
    fill_tables(runs, jobs, hours, samples)
    seconds = time.monotonic() - began
    for name, run in QUESTIONS.items():
        milliseconds = [database_milliseconds(run) for _ in range(rounds)]
        note = f"the first time {milliseconds[0]:.0f} ms; {runs:,} runs, filled in {seconds:.0f} s"
        yield Row(f"database time of {name}", median(milliseconds), "ms", at_most=100, note=note)
    yield measure_scrapes(20 if quick else SCRAPES)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(FILLS)} CASCADE")


def measure_scrapes(count: int) -> Row:
    """Whole requests of Prometheus, in this process. Each asks the broker, because it comes every 15 s."""
    client = Client(headers={"Authorization": f"Bearer {TOKEN}", "Accept": OPENMETRICS})
    wall, cpu, lines = [], [], 0
    with override_settings(METRICS_TOKEN=TOKEN):
        for _ in range(count):
            cache.delete(BROKER_STATE)
            began, cpu_began = time.perf_counter(), time.process_time()
            lines = client.get("/metrics").content.count(b"\n")
            wall.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - cpu_began))
    note = f"median {median(wall):.1f} ms, of which CPU {median(cpu):.1f} ms; {lines} lines"
    return Row("/metrics, p95 of the whole request", quantiles(wall, n=20)[-1], "ms", at_most=20, note=note)


def fill_tables(runs: int, jobs: int, hours: int, samples: int) -> None:
    """Writes the rows and beat's entries, and vacuums the tables."""
    DatabaseScheduler(app).setup_schedule()
    queues = ["urgent", "default", "video", "imports", "highmem", "maintenance"]
    sizes: dict[str, Any] = {"runs": runs, "jobs": jobs, "hours": hours, "samples": samples, "queues": queues}
    pairs = {(task, route["queue"]) for task, route in table().routes.items()}
    pairs |= {(table().canary_task, queue) for queue in queues}
    sizes |= {"tasks": [task for task, _ in pairs], "queues_of_tasks": [queue for _, queue in pairs]}
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(FILLS)} CASCADE")  # another bench may have left rows
        for name, statement in FILLS.items():
            cursor.execute(statement, sizes)
            cursor.execute(f"VACUUM ANALYZE {name}")


def database_milliseconds(run: Callable[[], None]) -> float:
    """What PostgreSQL spends on planning and executing the queries of `run`, parallel ones too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_statements_reset()")
        run()
        cursor.execute("SELECT sum(total_plan_time + total_exec_time) FROM pg_stat_statements WHERE toplevel")
        return float(cursor.fetchone()[0])
