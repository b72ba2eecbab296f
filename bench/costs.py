"""What one upload costs every server, from the request to its job's final state. docs/scaling.md computes from it.

Real processes: the site, and one worker at a time. The worker is suspended until all its jobs are in its queue, so that
the costs of an upload and of its job are counted apart. There is no bar.
"""

import csv
import http.client
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import monotonic, sleep, time
from typing import Any
from uuid import uuid4

import psutil
from django.conf import settings
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from bench import meters, polls
from bench.catalogues import HEADER
from bench.rows import Row
from bench.transcode import write_video
from devtools.processes import DEADLINE_SECONDS, Process, Web, wait_until, web, worker
from mediaapp.models import CatalogueItem, User
from workers.jobs import line, outbox, recovery
from workers.models import Job, TaskRun
from workers.queues import table
from workers.telemetry import rollups

UPLOADS, ROWS, LARGE_ROWS = 20, 1_000, 200_000
VIDEOS, SECONDS = 4, 10
UNITS = {"ms": "ms", "bytes": "bytes", "seconds": "s"}  # by the last word of a field's name
OWNER = "costs"  # of all jobs that it waits for: another bar may leave unfinished ones
TOKEN = "x" * 32  # the site accepts any, if cookie and form have the same one

UNFINISHED = f"""
    SELECT count(*) FROM workers_job JOIN mediaapp_user ON mediaapp_user.id = owner_id
    WHERE username = %s AND state IN ('queued', 'running') {meters.UNCOUNTED}"""  # noqa: S608


def measure(*, quick: bool) -> Iterator[Row]:
    """An upload and its job, a poll, the row of a run, and what grows with the number of jobs."""
    uploads, rows, videos, seconds = (2, 20, 1, 1) if quick else (UPLOADS, ROWS, VIDEOS, SECONDS)
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    owner = User.objects.create_user(OWNER, "costs@example.com", "never typed")
    session = Client()
    session.force_login(owner)
    folder = Path(settings.MEDIA_ROOT, "costs")
    folder.mkdir(parents=True)
    with web() as site:
        browser = Browser(site, session)
        yield from measure_imports(browser, folder, uploads, rows)
        if not quick:
            yield from measure_imports(browser, folder, 1, LARGE_ROWS)
        yield from measure_videos(browser, folder, videos, seconds)
        yield from measure_polls(site, 20 if quick else 500)
    CatalogueItem.objects.all().delete()
    owner.delete()
    yield from measure_runs(1_000 if quick else 100_000)
    yield from measure_many_jobs(100 if quick else 10_000)


class Browser:
    """A client with the session's cookies. site_pid: of the site that answers."""

    def __init__(self, site: Web, session: Client) -> None:
        cookies = {name: each.value for name, each in session.cookies.items()} | {"csrftoken": TOKEN}
        self.cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.http = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        self.site_pid = site.process.pid

    def upload(self, file: Path) -> None:
        """Sends a file as the page's form does, over a new connection."""
        self.http.close()
        parts = {"csrfmiddlewaretoken": (TOKEN.encode(), ""), "file": (file.read_bytes(), f'; filename="{file.name}"')}
        body = b"".join(
            f'--boundary\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
            for name, (value, more) in parts.items()
        )
        self.request("POST", "/uploads/", body + b"--boundary--\r\n", expected_status=http.client.FOUND)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, expected_status: int = http.client.OK
    ) -> None:
        """Raises RuntimeError for another status."""
        headers = {"Cookie": self.cookie, "Content-Type": "multipart/form-data; boundary=boundary"}
        self.http.request(method, path, body, headers)
        response = self.http.getresponse()
        content = response.read()
        if response.status != expected_status:
            raise RuntimeError(f"{method} {path} answered {response.status}: {content[:500]!r}")


def measure_imports(browser: Browser, folder: Path, uploads: int, rows: int) -> Iterator[Row]:
    """CSV files of new rows, one after the other into one table."""
    files = [write_table(folder, rows) for _ in range(uploads)]
    megabytes = files[0].stat().st_size / 10**6
    with worker("highmem") as process:
        warm_up(browser, write_table(folder, 1))
        label = f"CSV of {rows:,} rows ({megabytes:.2f} MB)"
        yield from measure_uploads(browser, process, files, label, megabytes, "MB")


def measure_videos(browser: Browser, folder: Path, videos: int, seconds: int) -> Iterator[Row]:
    """Videos of 720p, one after the other."""
    write_video(folder / "film.mp4", seconds, "1280x720")
    write_video(folder / "short.mp4", 1, "160x120")
    with worker("video") as process:
        warm_up(browser, folder / "short.mp4")
        label = f"video of {seconds} s, 720p"
        yield from measure_uploads(browser, process, [folder / "film.mp4"] * videos, label, seconds, "s of film")


def warm_up(browser: Browser, file: Path) -> None:
    """Lets site and worker open their connections."""
    browser.upload(file)
    wait_until(is_done, "the first job")


def measure_uploads(
    browser: Browser, process: Process, files: list[Path], label: str, amount: float, unit: str
) -> Iterator[Row]:
    """The uploads while the worker is suspended, then its jobs. amount: of `unit` in each file."""
    main = psutil.Process(process.pid)
    main.suspend()
    before = meters.read_usage(browser.site_pid)
    for file in files:
        browser.upload(file)
    yield from rows_of(f"upload, {label}", meters.usage_since(before, len(files), browser.site_pid))
    before = meters.read_usage(process.pid)
    main.resume()
    wait_until(is_done, "the jobs", seconds=DEADLINE_SECONDS * len(files))
    job = meters.usage_since(before, len(files), process.pid)
    yield from rows_of(f"job, {label}", job)
    yield Row(f"job, {label}: CPU of its worker per {unit}", job.cpu_seconds / amount, "s")
    ended = Job.objects.filter(owner__username=OWNER).order_by("-finished_at")
    times = ended.values_list("started_at", "finished_at")[: len(files)]
    spans = [(finished - started).total_seconds() for started, finished in times if started and finished]
    yield Row(f"job, {label}: from its claim to its final state", median(spans), "s")


def is_done() -> bool:
    """Whether all jobs of OWNER have ended. It sleeps first, and its statement is not counted."""
    sleep(0.2)
    with connection.cursor() as cursor:
        cursor.execute(UNFINISHED, [OWNER])
        return not cursor.fetchone()[0]


def rows_of(label: str, usage: meters.Usage) -> Iterator[Row]:
    """A row for each figure of the usage."""
    for field in fields(usage):
        yield Row(f"{label}: {field.name}", getattr(usage, field.name), UNITS.get(field.name.rpartition("_")[2], ""))


def measure_polls(site: Web, count: int) -> Iterator[Row]:
    """Polls of a running job."""
    job, session = polls.create_running_job()
    path = f"/jobs/{job.pk}/progress.json"
    session.get(path)  # sets the cookie for the following ones
    browser = Browser(site, session)
    browser.request("GET", path)
    before = meters.read_usage(browser.site_pid)
    for _ in range(count):
        browser.request("GET", path)
    yield from rows_of("poll of a running job", meters.usage_since(before, count, browser.site_pid))
    job.delete()


def measure_runs(count: int) -> Iterator[Row]:
    """The record of a task's run: to collect, roll up and delete. The ids are those of old runs."""
    record: dict[str, Any] = {
        "task": "workers.video.tasks.transcode_video",
        "queue": "video",
        "worker": "video@a-host-of-some-length",
    }
    record |= {"release": "v123", "outcome": "succeeded", "wait_seconds": 0.5, "run_seconds": 1.5, "peak_bytes": 10**8}
    size, before = table_bytes(TaskRun), meters.read_usage()
    for first in range(0, count, rollups.BATCH_ENTRIES):
        numbers = range(first, min(count, first + rollups.BATCH_ENTRIES))
        rollups.store_runs({number: record | {"ended_at": time() - count + number} for number in numbers})
    yield from rows_of("run of a task, collected", meters.usage_since(before, count))
    yield Row("run of a task: bytes of its row and indexes", (table_bytes(TaskRun) - size) / count, "bytes")
    for label, action in {"roll up": rollups.roll_up_hours, "delete": delete_all_old_runs}.items():
        began = monotonic()
        action()
        yield Row(f"{label} the runs, for each 100,000", (monotonic() - began) * 100_000 / count, "s")


def delete_all_old_runs() -> None:
    while rollups.delete_old_runs():
        pass


def measure_many_jobs(count: int) -> Iterator[Row]:
    """What grows with the number of jobs that wait or run."""
    size, now = table_bytes(Job), timezone.now()
    values: dict[str, Any] = {"task": "workers.video.tasks.transcode_video", "queue": "video", "dispatched_at": now}
    values |= {"queued_at": now, "arguments": {"source": f"uploads/{uuid4()}/source"}}
    Job.objects.bulk_create(Job(**values) for _ in range(count))
    yield Row("job: bytes of its row and indexes", (table_bytes(Job) - size) / count, "bytes")
    last = Job.objects.create(**values | {"queued_at": timezone.now()})
    yield Row(f"place in the queue behind {count:,}", median_seconds(lambda: line.places([last])) * 1000, "ms")
    seconds = median_seconds(lambda: list(outbox.unpublished_jobs(table().queues["video"])[: outbox.MAX_JOBS]))
    yield Row(f"sweep's look at {count:,} waiting jobs", seconds * 1000, "ms")
    Job.objects.update(state=Job.State.RUNNING, started_at=now - timedelta(minutes=1))
    running = min(count, 1_000)
    Job.objects.exclude(pk__in=Job.objects.values("pk")[:running]).delete()
    seconds = median_seconds(lambda: recovery.orphans().query)
    yield Row(f"sweep's look at {running:,} running jobs", seconds * 1000, "ms", note="one read of the locks per job")


def median_seconds(action: Callable[[], object]) -> float:
    """Of five calls."""
    seconds = []
    for _ in range(5):
        began = monotonic()
        action()
        seconds.append(monotonic() - began)
    return median(seconds)


def table_bytes(model: type[Model]) -> int:
    """With the indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s)", [model._meta.db_table])
        return int(cursor.fetchone()[0])


def write_table(folder: Path, rows: int) -> Path:
    """A CSV whose keys no other file has."""
    path = folder / f"{uuid4()}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(
            [f"{path.stem}-{each}", f"Title number {each}", "Somebody", "Book", "2001-02-03", "9.99", each]
            for each in range(rows)
        )
    return path
