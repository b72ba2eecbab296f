"""A worker dies, is stopped, or loses a server in the middle of a job: another attempt ends it, and nothing is lost.

Real workers on the test database; the sweep, which beat would send every ten seconds, is called here.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django_redis import get_redis_connection

from devtools.processes import DEADLINE_SECONDS, wait_until
from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.uploads.receive import store_upload
from tests.videos import make_video, repeat_video
from workers import jobs
from workers.models import Job, RejectedRow
from workers.practices import progress

ROWS, BAD, DUPLICATES = 150_000, 30, 25  # DUPLICATES: rows of the second half with a key of the first
Start = Callable[..., subprocess.Popen]
pytestmark = pytest.mark.usefixtures("short_lease")


def catalogue(rows: int = ROWS) -> Iterator[str]:
    yield "external_id,title,price\n"
    for row in range(rows):
        price = "dear" if row % (ROWS // BAD) == 7 else f"{row % 500}.50"
        key = row - ROWS // 2 if row >= ROWS // 2 and row % (ROWS // 2 // DUPLICATES) == 11 else row
        yield f"B-{key},Title {row},{price}\n"


@pytest.fixture
def importing(alice: User, transactional_db) -> Upload:
    file = ContentFile("".join(catalogue()).encode(), name="catalogue.csv")
    return store_upload(alice, file)


def job_of(upload: Upload) -> Job:
    return Job.objects.get(pk=upload.pk)


def committed_rows() -> int:
    return job_of(Upload.objects.get()).result.get("rows", 0)


def is_half_written() -> bool:
    return 0 < committed_rows() < ROWS - 30_000


def freeze_in_the_middle(worker: subprocess.Popen) -> None:
    """All processes of the worker stand still then: on a busy machine its import may end before the next line."""

    def is_frozen_in_the_middle() -> bool:
        os.killpg(worker.pid, signal.SIGSTOP)
        if not (found := is_half_written()):
            os.killpg(worker.pid, signal.SIGCONT)
        return found

    wait_until(is_frozen_in_the_middle, "the middle of the import")


def sweep_and_check_final(upload: Upload) -> bool:
    jobs.sweep()
    return job_of(upload).is_final


def assert_every_row_counts_once(upload: Upload) -> None:
    job = job_of(upload)
    assert job.state == Job.State.DONE, (job.message, job.detail)
    counts = {name: job.result[name] for name in ("created", "updated", "unchanged", "rejected", "rows")}
    expected = {
        "created": ROWS - BAD - DUPLICATES,
        "updated": DUPLICATES,
        "unchanged": 0,
        "rejected": BAD,
        "rows": ROWS,
    }
    assert counts == expected
    assert CatalogueItem.objects.count() == ROWS - BAD - DUPLICATES
    assert list(RejectedRow.objects.order_by("line").values_list("line", flat=True)) == [
        row + 2 for row in range(7, ROWS, ROWS // BAD)
    ]


def test_an_import_survives_kill_9_of_its_worker(importing: Upload, start: Start):
    worker = start("highmem")
    freeze_in_the_middle(worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert job_of(importing).state == Job.State.RUNNING
    start("highmem")
    wait_until(lambda: sweep_and_check_final(importing), "the other worker to end it")
    assert_every_row_counts_once(importing)
    outcomes = list(job_of(importing).attempts.order_by("number").values_list("outcome", flat=True))
    assert outcomes == ["lost"] * (job_of(importing).attempt - 1) + ["done"]
    assert len(outcomes) >= 2


def test_an_import_survives_kill_9_of_its_pool_process(importing: Upload, start: Start):
    worker = start("highmem")
    freeze_in_the_middle(worker)
    for child in psutil.Process(worker.pid).children():
        child.kill()
    os.killpg(worker.pid, signal.SIGCONT)
    wait_until(lambda: sweep_and_check_final(importing), "the same worker to end it")
    assert_every_row_counts_once(importing)


def test_an_import_is_requeued_at_once_when_a_platform_stops_every_process(importing: Upload, start: Start):
    worker = start("highmem")
    freeze_in_the_middle(worker)
    for number in (signal.SIGTERM, signal.SIGCONT):
        os.killpg(worker.pid, number)
    worker.wait(DEADLINE_SECONDS)
    job = job_of(importing)
    assert (job.state, job.crash_count) == (Job.State.QUEUED, 0)
    start("highmem")
    wait_until(lambda: sweep_and_check_final(importing), "the other worker to end it")
    assert_every_row_counts_once(importing)


def test_a_flushed_cache_costs_an_import_nothing(importing: Upload, start: Start):
    start("highmem")
    wait_until(is_half_written, "the middle of the import")
    get_redis_connection("default").flushall()
    wait_until(lambda: job_of(importing).is_final, "the import to end")
    assert_every_row_counts_once(importing)
    assert job_of(importing).attempt == 1


def test_flushed_locks_do_not_stop_an_import(importing: Upload, start: Start):
    start("highmem")
    wait_until(is_half_written, "the middle of the import")
    get_redis_connection("locks").flushdb()
    wait_until(lambda: job_of(importing).is_final, "the import to end")
    assert_every_row_counts_once(importing)


def test_an_import_survives_lost_database_connections(importing: Upload, start: Start):
    start("highmem")
    wait_until(is_half_written, "the middle of the import")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    wait_until(lambda: sweep_and_check_final(importing), "the import to go on")
    assert_every_row_counts_once(importing)


def test_a_killed_worker_leaves_no_ffmpeg_and_its_video_is_transcoded_again(alice: User, start: Start, tmp_path: Path):
    path = repeat_video(
        make_video(tmp_path / "short.mp4", seconds=3, size="640x360", rate=25), 20, tmp_path / "long.mp4"
    )
    with path.open("rb") as file:
        upload = store_upload(alice, ContentFile(file.read(), name="long.mp4"))
    worker = start("video")
    wait_until(lambda: (progress.read(upload.pk) or {}).get("done"), "the transcode to be under way")
    processes = psutil.Process(worker.pid).children(recursive=True)
    assert any("ffmpeg" in process.name() for process in processes)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert psutil.wait_procs(processes, timeout=DEADLINE_SECONDS)[1] == []
    start("video")
    wait_until(lambda: sweep_and_check_final(upload), "the other worker to end it")
    assert job_of(upload).state == Job.State.DONE, job_of(upload).detail
    folder = Path(default_storage.path(upload.file)).parent
    assert sorted(path.name for path in folder.iterdir()) == ["poster.jpg", "source", "video.mp4"]
