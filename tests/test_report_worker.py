"""The high-memory worker makes a report: on a catalogue, on one file; cancelled, stopped, out of memory."""

import csv
import io
import os
import signal
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import psutil
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from redis import Redis

from devtools.processes import DEADLINE_SECONDS, wait_until
from mediaapp.models import CatalogueItem, Report, User
from mediaapp.reports import request_report
from mediaapp.uploads.receive import store_upload
from workers import jobs
from workers.capacity import run_memory
from workers.highmem import tasks
from workers.models import Job
from workers.practices import progress
from workers.reports.run import CSV, PARQUET, SUMMARY

Start = Callable[..., subprocess.Popen]
FIELDS = ("external_id", "title", "creator", "category", "released_on", "price", "stock")
HOSTILE = [
    ("A1", "Größe 😀 \n two lines", "", "", "2020-02-29", Decimal("9.90"), 0),
    ("A2", '=1+1,"quoted"', "<script>alert(1)</script>", "x", None, None, None),
    ("A3", "größe 😀 \n two lines ", "", "x", "0001-01-01", Decimal("99999999.99"), 2147483647),
]


def fill(owner: User, rows: list[tuple] = HOSTILE) -> None:
    CatalogueItem.objects.bulk_create(CatalogueItem(owner=owner, **dict(zip(FIELDS, row, strict=True))) for row in rows)


def many(count: int) -> list[tuple]:
    return [(f"B{row:07}", f"Title {row}", f"C {row % 97}", "x", None, None, row) for row in range(count)]


def ended(report: Report) -> Job:
    wait_until(lambda: Job.objects.get(pk=report.pk).is_final, "the report")
    return Job.objects.get(pk=report.pk)


def rows_of(owner: User) -> list[tuple]:
    return sorted(owner.catalogue.values_list(*FIELDS))


def test_a_report_on_the_whole_catalogue_has_its_rows_and_nobody_elses(start: Start, broker: Redis, alice, bob):
    fill(alice)
    fill(bob, many(5))
    report = request_report(alice)
    start("highmem")
    job = ended(report)
    assert (job.state, job.message, job.result["rows"]) == (Job.State.DONE, "", 3)
    summary = report.summary()
    assert [column["name"] for column in summary["columns"]] == list(FIELDS)
    assert [column["missing"] for column in summary["columns"]] == [0, 0, 2, 1, 1, 1, 1]
    assert (summary["duplicates"]["groups"], summary["duplicates"]["rows"]) == (1, 2)
    table = pl.read_parquet(default_storage.path(report.storage_name("rows.parquet")))
    assert sorted(table.rows(), key=lambda row: row[0]) == rows_of(alice)
    with default_storage.open(report.storage_name("rows.csv")) as file:
        header, *cells = csv.reader(io.StringIO(file.read().decode("utf-8-sig"), newline=""))
    assert header == list(FIELDS)
    assert sorted(cells)[0] == ["A1", "Größe 😀 \n two lines", "", "", "2020-02-29", "9.90", "0"]
    assert sorted(cells)[1][1] == '\'=1+1,"quoted"'
    assert 60e6 < job.result["peak_bytes"] < job.result["expected_bytes"] * 1.2


def test_a_report_on_a_file_has_its_valid_rows_though_the_table_has_changed(start: Start, broker: Redis, alice):
    data = "external_id,title,price,x\nA1,Dune,9.90,\nA2,Ubik,nothing,\nA3,,1,\nA1,Dune II,8.00,\n"
    upload = store_upload(alice, ContentFile(data.encode(), name="books.csv"))
    start("highmem")
    wait_until(lambda: Job.objects.get(pk=upload.pk).is_final, "the import")
    CatalogueItem.objects.all().delete()
    report = request_report(alice, upload)
    job = ended(report)
    assert (job.state, job.message) == (Job.State.DONE, "")
    table = pl.read_parquet(default_storage.path(report.storage_name("rows.parquet")))
    assert table.rows(named=True) == [{"external_id": "A1", "title": "Dune II", "price": Decimal("8.00")}]
    assert report.summary()["duplicates"]["columns"] == ["title"]


def test_an_empty_catalogue_gives_an_empty_report(start: Start, broker: Redis, alice):
    report = request_report(alice)
    start("highmem")
    assert (ended(report).state, report.summary()["rows"]) == (Job.State.DONE, 0)


def test_what_does_not_fit_is_refused_before_any_row_is_read(transactional_db, broker: Redis, alice, monkeypatch):
    fill(alice, many(100))
    report = request_report(alice)
    monkeypatch.setattr(run_memory, "DYNO_BYTES", {"performance-m": run_memory.MAIN_PROCESS_BYTES + 120 * 10**6})
    tasks.report_on_rows(str(report.pk))
    job = Job.objects.get(pk=report.pk)
    assert job.state == Job.State.FAILED
    assert "of memory and its worker has 120 MB, so it was not begun." in job.message
    assert not default_storage.exists(f"reports/{report.pk}")


def the_process(worker: subprocess.Popen) -> psutil.Process | None:
    """The report's own."""
    family = psutil.Process(worker.pid).children(recursive=True)
    return next((process for process in family if "workers.reports.process" in process.cmdline()), None)


@pytest.fixture
def at_work(start: Start, broker: Redis, alice) -> tuple[Report, subprocess.Popen, psutil.Process]:
    """A report whose process has begun and stands still."""
    fill(alice, many(20_000))  # more than a pipe holds: whoever waits for it to be read, hears nothing
    report, worker = request_report(alice), start("highmem")
    return report, worker, suspended(worker)


def suspended(worker: subprocess.Popen) -> psutil.Process:
    """The report's process, as soon as it is there."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        if process := the_process(worker):
            process.suspend()
            found.append(process)
        return bool(found)

    wait_until(is_there, "the report's process")
    return found[0]


def test_a_cancelled_report_ends_its_process_and_leaves_nothing(at_work):
    report, _, process = at_work
    jobs.cancel(report.job)
    assert ended(report).state == Job.State.CANCELLED
    wait_until(lambda: not process.is_running(), "the end of the process")
    assert list(Path(default_storage.path(f"reports/{report.pk}")).iterdir()) == []


def test_out_of_memory_is_a_failed_report_and_the_worker_lives_on(at_work, alice, bob):
    report, worker, process = at_work
    process.send_signal(signal.SIGABRT)  # as Rust does where it gets no memory
    process.resume()
    job = ended(report)
    assert job.state == Job.State.FAILED
    assert "took more memory than its worker could get" in job.message
    again = request_report(bob)
    assert ended(again).state == Job.State.DONE
    assert worker.poll() is None


def test_a_stopped_worker_hands_the_report_back(at_work, start: Start):
    report, worker, process = at_work
    for each in (process, *psutil.Process(worker.pid).children(), psutil.Process(worker.pid)):
        each.send_signal(signal.SIGTERM)  # as a platform does: to every process
    wait_until(lambda: worker.poll() is not None, "the worker's end")
    assert Job.objects.get(pk=report.pk).state == Job.State.QUEUED
    assert not process.is_running()
    start("highmem")
    assert ended(report).state == Job.State.DONE


@pytest.mark.usefixtures("short_lease")
def test_the_report_process_dies_with_its_worker_and_another_worker_builds_the_report(start: Start, broker, alice):
    fill(alice, many(1_000))
    report, worker = request_report(alice), start("highmem")
    folder = Path(default_storage.path(f"reports/{report.pk}"))
    process = suspended(worker)
    # Opened for writing, a pipe that nobody reads holds the process where it neither hears nor says anything.
    os.mkfifo(next(folder.iterdir()) / PARQUET)
    process.resume()
    wait_until(lambda: "Parquet" in (progress.read(report.pk) or {}).get("stage", ""), "the process to stand still")
    pool = psutil.Process(worker.pid).children()
    for each in (psutil.Process(worker.pid), *pool):  # not the group of processes: the report's own is one of it
        each.kill()
    assert psutil.wait_procs([process, *pool], timeout=DEADLINE_SECONDS)[1] == []
    assert Job.objects.get(pk=report.pk).state == Job.State.RUNNING
    start("highmem")

    def swept_until_done() -> bool:
        jobs.sweep()
        return Job.objects.get(pk=report.pk).is_final

    wait_until(swept_until_done, "the other worker to make it")
    job = Job.objects.get(pk=report.pk)
    assert (job.state, job.result["rows"]) == (Job.State.DONE, 1_000), (job.message, job.detail)
    assert job.attempt >= 2
    assert sorted(path.name for path in folder.iterdir()) == sorted([SUMMARY, PARQUET, CSV])
