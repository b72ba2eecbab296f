"""Workers without a shared disk read from a bucket and store their results there.

Each runs in an empty folder of its own, as on another host, with only its environment.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import polars as pl
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from devtools.processes import wait_until
from mediaapp.models import Upload, User
from mediaapp.reports import request_report
from mediaapp.uploads.receive import store_upload
from tests.relay import Relay, running_relay
from tests.test_survive_death import (
    assert_every_row_counts_once,
    catalogue,
    freeze_in_the_middle,
    job_of,
    sweep_and_check_final,
)
from tests.videos import make_video
from workers import jobs
from workers.models import Job
from workers.storage import workspace

Start = Callable[..., subprocess.Popen]
BOOKS = b"external_id,title,price\nA1,Dune,9.90\nA2,Ubik,nothing\nA3,Emma,1\n"

pytestmark = pytest.mark.usefixtures("broker")


class Host:
    """A machine of its own: its folder, and what a process there is started with."""

    def __init__(self, folder: Path, bucket: dict[str, str]) -> None:
        self.folder, self.scratch = folder / "empty", folder / "scratch"
        self.folder.mkdir(parents=True)
        own = {name: str(folder / name.lower()) for name in ("MEDIA_ROOT", "LOCAL_DIR")}
        self.environment = bucket | own | {"SCRATCH_DIR": str(self.scratch)}

    def start(self, start: Start, name: str, **more: str) -> subprocess.Popen:
        return start(name, folder=self.folder, **self.environment | more)

    def left(self) -> list[Path]:
        """Files of jobs that are on it still."""
        return [path for path in self.scratch.rglob("*") if path.is_file()]


@pytest.fixture
def host(bucket, tmp_path: Path) -> Host:
    return Host(tmp_path / "host", bucket)


@pytest.fixture
def other_host(bucket, tmp_path: Path) -> Host:
    return Host(tmp_path / "other host", bucket)


@pytest.fixture
def relay(bucket) -> Iterator[Relay]:
    """A way to the storage that is not ours."""
    there = urlsplit(bucket["S3_ENDPOINT_URL"])
    with running_relay((there.hostname, there.port)) as relay:
        yield relay


def upload(owner: User, content: bytes, name: str = "books.csv") -> Upload:
    return store_upload(owner, ContentFile(content, name=name))


def ended(job_id: object) -> Job:
    """A storage that is slow on a busy machine puts a job back, and the sweep then sends it again."""

    def swept() -> bool:
        jobs.sweep()
        return Job.objects.get(pk=job_id).is_final

    wait_until(swept, "the job to end")
    return Job.objects.get(pk=job_id)


def names_in(folder: str) -> list[str]:
    return sorted(default_storage.listdir(folder)[1])


def test_a_csv_is_imported_and_reported_on(start: Start, host: Host, alice: User):
    books = upload(alice, BOOKS)
    host.start(start, "highmem")
    job = ended(books.pk)
    assert (job.state, job.result["created"], job.result["rejected"]) == (Job.State.DONE, 2, 1)
    on_all, on_file = request_report(alice), request_report(alice, books)
    for report in (on_all, on_file):
        assert ended(report.pk).state == Job.State.DONE
        assert names_in(report.folder) == ["report.json", "rows.csv", "rows.parquet"]
        assert report.summary()["rows"] == 2
        with default_storage.open(report.storage_name("rows.parquet")) as file:
            assert sorted(pl.read_parquet(file.read())["title"]) == ["Dune", "Emma"]
        # The test's server guesses a type itself where none is given, and adds a charset to this one.
        with urlopen(default_storage.url(report.storage_name("rows.csv"))) as answer:
            assert answer.headers["Content-Type"] == "text/csv"
    assert host.left() == []


def test_a_video_is_transcoded(start: Start, host: Host, alice: User, tmp_path: Path):
    holiday = upload(alice, make_video(tmp_path / "holiday.mp4").read_bytes(), "holiday.mp4")
    host.start(start, "video")
    assert ended(holiday.pk).state == Job.State.DONE
    assert names_in(holiday.folder) == ["poster.jpg", "source", "video.mp4"]
    with default_storage.open(holiday.storage_name("video.mp4")) as file:
        assert file.read(12)[4:8] == b"ftyp"
    assert host.left() == []


@pytest.mark.usefixtures("short_lease")
def test_another_host_continues_the_import_of_a_dead_one(start: Start, host: Host, other_host: Host, alice: User):
    books = upload(alice, "".join(catalogue()).encode())
    worker = host.start(start, "highmem")
    freeze_in_the_middle(worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert len(host.left()) == 1
    other_host.start(start, "highmem")
    wait_until(lambda: sweep_and_check_final(books), "the other host to end it")
    assert_every_row_counts_once(books)
    assert job_of(books).attempt >= 2
    assert other_host.left() == []


def test_a_job_waits_for_a_storage_that_is_away_and_loses_nothing(start: Start, host: Host, relay: Relay, alice: User):
    books = upload(alice, "".join(catalogue(20_000)).encode())
    relay.cut_after_bytes = 100_000
    host.start(start, "highmem", S3_ENDPOINT_URL=f"http://{relay.address}")
    wait_until(lambda: job_of(books).message, "the job to be handed back")
    job = job_of(books)
    assert (job.state, job.message, job.crash_count) == (Job.State.QUEUED, workspace.STORAGE_AWAY, 0)
    assert host.left() == []
    relay.is_cut = False
    Job.objects.filter(pk=job.pk).update(not_before=job.queued_at)  # as if its pause were over
    wait_until(lambda: sweep_and_check_final(books), "the worker to end it")
    assert (job_of(books).state, job_of(books).result["rows"]) == (Job.State.DONE, 20_000)


def test_a_file_that_is_larger_than_the_scratch_folder_fails_with_a_sentence(start: Start, host: Host, alice: User):
    books = upload(alice, BOOKS)
    host.start(start, "highmem", SCRATCH_BYTES="60")
    job = ended(books.pk)
    assert job.state == Job.State.FAILED
    assert "our workers have room for" in job.message
    assert host.left() == []
