"""What one upload costs every server, from the request to the last word of its job; docs/scaling.md computes from it.

Real processes: the site, and one worker at a time, which stands still until all its jobs are in its queue. So what the
site spends on an upload and what a worker spends on its job are told apart. No bar: a figure is as good as its note.
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
from bench.transcode import film
from devtools.processes import DEADLINE_SECONDS, Process, Web, wait_until, web, worker
from mediaapp.models import CatalogueItem, User
from workers import jobs
from workers.jobs import recovery
from workers.models import Job, TaskRun
from workers.telemetry import rollups

UPLOADS, ROWS, LARGE_ROWS = 20, 1_000, 200_000
VIDEOS, SECONDS = 4, 10
UNITS = {"sql": "ms", "wal": "bytes", "cache_bytes": "bytes", "broker_bytes": "bytes", "cpu": "s", "database": "s"}
TOKEN = "x" * 32  # the site takes any that comes twice


def measure(*, quick: bool) -> Iterator[Row]:
    """An upload and its job, a poll, a row of the history, and what grows with the number of jobs."""
    uploads, rows, videos, seconds = (2, 20, 1, 1) if quick else (UPLOADS, ROWS, VIDEOS, SECONDS)
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    owner = User.objects.create_user("costs", "costs@example.com", "never typed")
    session = Client()
    session.force_login(owner)
    folder = Path(settings.MEDIA_ROOT, "costs")
    folder.mkdir(parents=True)
    with web() as site:
        browser = Browser(site, session)
        yield from of_imports(browser, folder, uploads, rows)
        if not quick:
            yield from of_imports(browser, folder, 1, LARGE_ROWS)
        yield from of_videos(browser, folder, videos, seconds)
        yield from of_polls(site, 20 if quick else 500)
    CatalogueItem.objects.all().delete()
    owner.delete()
    yield from of_runs(1_000 if quick else 100_000)
    yield from of_waiting_jobs(100 if quick else 10_000)


class Browser:
    """Somebody's, with the session's cookies. process: the pid of the site that answers."""

    def __init__(self, site: Web, session: Client) -> None:
        cookies = {name: each.value for name, each in session.cookies.items()} | {"csrftoken": TOKEN}
        self.cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.http = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        self.process = site.process.pid

    def send(self, file: Path) -> None:
        """Uploads a file as the page's form does, over a connection of its own."""
        self.http.close()
        parts = {"csrfmiddlewaretoken": (TOKEN.encode(), ""), "file": (file.read_bytes(), f'; filename="{file.name}"')}
        body = b"".join(
            f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
            for name, (value, more) in parts.items()
        )
        self.ask("POST", "/uploads/", body + b"--cut--\r\n", http.client.FOUND)

    def ask(self, method: str, address: str, body: bytes | None = None, wanted: int = http.client.OK) -> None:
        """Raises RuntimeError for any other answer."""
        headers = {"Cookie": self.cookie, "Content-Type": "multipart/form-data; boundary=cut"}
        self.http.request(method, address, body, headers)
        answer = self.http.getresponse()
        said = answer.read()
        if answer.status != wanted:
            raise RuntimeError(f"{method} {address} answered {answer.status}: {said[:500]!r}")


def of_imports(browser: Browser, folder: Path, uploads: int, rows: int) -> Iterator[Row]:
    """CSV files of new rows, one after the other into one table."""
    files = [table(folder, rows) for _ in range(uploads)]
    megabytes = files[0].stat().st_size / 10**6
    with worker("highmem") as process:
        warm_up(browser, table(folder, 1))
        what = f"CSV of {rows:,} rows ({megabytes:.2f} MB)"
        yield from of_uploads(browser, process, files, what, megabytes, "MB")


def of_videos(browser: Browser, folder: Path, videos: int, seconds: int) -> Iterator[Row]:
    """Videos of 720p, one after the other."""
    film(folder / "film.mp4", seconds, "1280x720")
    film(folder / "short.mp4", 1, "160x120")
    with worker("video") as process:
        warm_up(browser, folder / "short.mp4")
        what = f"video of {seconds} s, 720p"
        yield from of_uploads(browser, process, [folder / "film.mp4"] * videos, what, seconds, "s of film")


def warm_up(browser: Browser, file: Path) -> None:
    """Site and worker open their connections."""
    browser.send(file)
    wait_until(is_done, "the first job")


def of_uploads(
    browser: Browser, process: Process, files: list[Path], what: str, amount: float, unit: str
) -> Iterator[Row]:
    """The uploads while the worker stands still, then its jobs. amount: of `unit` in each file."""
    main = psutil.Process(process.pid)
    main.suspend()
    before = meters.spent(browser.process)
    for file in files:
        browser.send(file)
    yield from rows_of(f"upload, {what}", meters.spent_since(before, len(files), browser.process))
    before = meters.spent(process.pid)
    main.resume()
    wait_until(is_done, "the jobs", seconds=DEADLINE_SECONDS * len(files))
    job = meters.spent_since(before, len(files), process.pid)
    yield from rows_of(f"job, {what}", job)
    yield Row(f"job, {what}: CPU of its worker per {unit}", job.cpu / amount, "s")
    newest = Job.objects.order_by("-finished_at").values_list("started_at", "finished_at")[: len(files)]
    spans = [(finished - started).total_seconds() for started, finished in newest if started and finished]
    yield Row(f"job, {what}: from its claim to its last word", median(spans), "s")


def is_done() -> bool:
    """Whether no job moves any more. Asked seldom, and not counted."""
    sleep(0.2)
    with connection.cursor() as cursor:
        moving = f"SELECT count(*) FROM workers_job WHERE state IN ('queued', 'running') {meters.UNCOUNTED}"  # noqa: S608
        cursor.execute(moving)
        return not cursor.fetchone()[0]


def rows_of(what: str, each: meters.Spent) -> Iterator[Row]:
    """A line for everything that one of it has cost."""
    for field in fields(each):
        yield Row(f"{what}: {field.name}", getattr(each, field.name), UNITS.get(field.name, ""))


def of_polls(site: Web, count: int) -> Iterator[Row]:
    """Polls of a job that runs."""
    job, session = polls.running_job()
    address = f"/jobs/{job.pk}/progress.json"
    session.get(address)  # the first one leaves the cookie for the others
    browser = Browser(site, session)
    browser.ask("GET", address)
    before = meters.spent(browser.process)
    for _ in range(count):
        browser.ask("GET", address)
    yield from rows_of("poll of a running job", meters.spent_since(before, count, browser.process))
    job.delete()


def of_runs(count: int) -> Iterator[Row]:
    """What a run of a task leaves behind, to be collected, summed up and deleted. Their ids are those of old ones."""
    told: dict[str, Any] = {
        "task": "workers.video.tasks.transcode_video",
        "queue": "video",
        "worker": "video@a-host-of-some-length",
    }
    told |= {"release": "v123", "outcome": "succeeded", "wait_seconds": 0.5, "run_seconds": 1.5, "peak_bytes": 10**8}
    size, before = bytes_of(TaskRun), meters.spent()
    for first in range(0, count, rollups.BATCH_ENTRIES):
        numbers = range(first, min(count, first + rollups.BATCH_ENTRIES))
        rollups.store_runs({number: told | {"ended_at": time() - count + number} for number in numbers})
    yield from rows_of("run of a task, collected", meters.spent_since(before, count))
    yield Row("run of a task: bytes of its row and indexes", (bytes_of(TaskRun) - size) / count, "bytes")
    for what, action in {"roll up": rollups.roll_up_hours, "delete": rollups.delete_old_runs}.items():
        began = monotonic()
        action()
        yield Row(f"{what} the runs, for each 100,000", (monotonic() - began) * 100_000 / count, "s")


def of_waiting_jobs(count: int) -> Iterator[Row]:
    """What grows with the number of jobs that wait, or run, at the same time."""
    size, now = bytes_of(Job), timezone.now()
    known: dict[str, Any] = {"task": "workers.video.tasks.transcode_video", "queue": "video", "dispatched_at": now}
    known |= {"queued_at": now, "arguments": {"source": f"uploads/{uuid4()}/source"}}
    Job.objects.bulk_create(Job(**known) for _ in range(count))
    yield Row("job: bytes of its row and indexes", (bytes_of(Job) - size) / count, "bytes")
    last = Job.objects.create(**known | {"queued_at": timezone.now()})
    yield Row(f"place in the queue behind {count:,}", seconds_of(lambda: jobs.position(last)) * 1000, "ms")
    yield Row(f"sweep's look at {count:,} waiting jobs", seconds_of(recovery.undispatched) * 1000, "ms")
    Job.objects.update(state=Job.State.RUNNING, started_at=now - timedelta(minutes=1))
    some = min(count, 1_000)
    Job.objects.exclude(pk__in=Job.objects.values("pk")[:some]).delete()
    took = seconds_of(lambda: recovery.orphans().query)
    yield Row(f"sweep's look at {some:,} running jobs", took * 1000, "ms", note="one question to the locks each")


def seconds_of(action: Callable[[], object]) -> float:
    """The median of some turns."""
    took = []
    for _ in range(5):
        began = monotonic()
        action()
        took.append(monotonic() - began)
    return median(took)


def bytes_of(model: type[Model]) -> int:
    """Of a table with its indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s)", [model._meta.db_table])
        return int(cursor.fetchone()[0])


def table(folder: Path, rows: int) -> Path:
    """A CSV of rows whose keys no other one has."""
    path = folder / f"{uuid4()}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(
            [f"{path.stem}-{each}", f"Title number {each}", "Somebody", "Book", "2001-02-03", "9.99", each]
            for each in range(rows)
        )
    return path
