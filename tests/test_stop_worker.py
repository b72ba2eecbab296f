"""A worker gets SIGTERM, as in a deploy: its job is requeued at once, nothing is lost, nothing is done twice."""

import os
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.utils import timezone
from redis import Redis

from devtools.processes import DEADLINE_SECONDS, ROOT, wait_until
from mediaapp.models import User
from mediaapp.uploads.receive import store_upload
from tests import in_subprocess
from tests.faulty_tasks import let_go, lines
from tests.videos import make_video, repeat_video
from workers.models import Job
from workers.practices import progress

pytestmark = pytest.mark.django_db(transaction=True)
FOR_EVER = "600"  # seconds of grace that no test waits for
State = Job.State
Start = Callable[..., subprocess.Popen]


@pytest.fixture(params=["valkey", "rabbitmq"])
def url(request, broker: Redis) -> str:
    """The test runs on both brokers."""
    return settings.BROKER_URL if request.param == "valkey" else request.getfixturevalue("vhost").url


@pytest.fixture
def send(alice: User) -> Callable[[str, str], Job]:
    """Makes a job for a faulty task, and has the sweep send it to the broker at that address."""

    def send_task(task: str, url: str) -> Job:
        queued = timezone.now() - timedelta(seconds=10)
        job = Job.objects.create(task=f"tests.faulty_tasks.{task}", queue="highmem", owner=alice, queued_at=queued)
        in_subprocess.run("from workers.jobs import sweep; assert sweep() == 1", BROKER_URL=url)
        return job

    return send_task


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def signal_all_processes(worker: subprocess.Popen) -> None:
    """As a platform does."""
    os.killpg(worker.pid, signal.SIGTERM)


def signal_main_process(worker: subprocess.Popen) -> None:
    """As Docker does."""
    worker.terminate()


def press_ctrl_c(worker: subprocess.Popen) -> None:
    os.killpg(worker.pid, signal.SIGINT)


def is_finished_by_another_worker(job: Job, start: Start, url: str) -> bool:
    """No sweep runs here: the other worker takes the message that is in the queue."""
    let_go()
    start("highmem", app="tests.fast_app", BROKER_URL=url, PUBLISH_SECONDS="30")
    wait_until(lambda: read(job).is_final, "another worker to end it")
    return (read(job).state, read(job).attempt) == (State.DONE, 2)


def assert_requeued(job: Job) -> None:
    back = read(job)
    assert (back.state, back.attempt, back.crash_count, back.checkpoint) == (State.QUEUED, 1, 0, {"step": 7})
    assert back.dispatched_at is not None


def test_a_job_that_reports_is_requeued_at_once_and_continues_in_another_worker(send, start: Start, url: str):
    worker = start("highmem", app="tests.fast_app", BROKER_URL=url, PUBLISH_SECONDS="30", GRACE_SECONDS=FOR_EVER)
    job = send("report_for_ever", url)
    wait_until(lambda: progress.read(job.pk), "its first report")
    signal_all_processes(worker)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert_requeued(job)
    assert is_finished_by_another_worker(job, start, url)
    assert lines() == ["report from 0", "report from 7"]


@pytest.mark.parametrize("send_signal", [signal_main_process, press_ctrl_c])
def test_a_job_is_requeued_if_only_some_processes_get_the_signal(send, start: Start, broker: Redis, send_signal):
    worker = start("highmem", app="tests.fast_app", GRACE_SECONDS=FOR_EVER)
    job = send("report_for_ever", settings.BROKER_URL)
    wait_until(lambda: progress.read(job.pk), "its first report")
    send_signal(worker)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert_requeued(job)


def test_a_worker_waits_for_a_task_that_ends_soon(send, start: Start, broker: Redis):
    worker = start("highmem", app="tests.fast_app", GRACE_SECONDS=FOR_EVER)
    job = send("end_soon_after_a_stop", settings.BROKER_URL)
    wait_until(lines, "its begin")  # before, the worker itself would send what comes next
    behind = send("never_report", settings.BROKER_URL)
    signal_all_processes(worker)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert lines() == ["begin", "end"]
    assert (read(job).state, read(job).attempt) == (State.DONE, 1)
    assert (read(behind).state, read(behind).attempt) == (State.QUEUED, 0)


def test_a_task_that_never_reports_is_cancelled_after_the_grace_period(send, start: Start, url: str):
    worker = start("highmem", app="tests.fast_app", BROKER_URL=url, PUBLISH_SECONDS="30", GRACE_SECONDS="1")
    job = send("never_report", url)
    wait_until(lines, "its begin")
    signal_all_processes(worker)
    worker.wait(DEADLINE_SECONDS)
    assert (read(job).state, read(job).attempt, read(job).crash_count) == (State.QUEUED, 1, 0)
    assert is_finished_by_another_worker(job, start, url)


def test_a_transcode_is_requeued_and_leaves_no_ffmpeg(alice: User, start: Start, broker: Redis, tmp_path: Path):
    path = repeat_video(
        make_video(tmp_path / "short.mp4", seconds=3, size="640x360", rate=25), 20, tmp_path / "long.mp4"
    )
    upload = store_upload(alice, ContentFile(path.read_bytes(), name="long.mp4"))
    worker = start("video")

    def has_progressed(since: float = 0) -> bool:
        return (progress.read(upload.pk) or {"done": 0})["done"] > since

    wait_until(has_progressed, "the transcode to be under way")
    processes = psutil.Process(worker.pid).children(recursive=True)
    assert any("ffmpeg" in process.name() for process in processes)
    for process in processes:
        process.terminate()  # the platform's signal may reach ffmpeg before the worker
    reached = progress.read(upload.pk)["done"]
    wait_until(lambda: has_progressed(reached), "the transcode to go on")
    signal_all_processes(worker)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert psutil.wait_procs(processes, timeout=DEADLINE_SECONDS)[1] == []
    job = Job.objects.get(pk=upload.pk)
    assert (job.state, job.crash_count) == (State.QUEUED, 0), job.detail
    assert broker.llen("video") == 1
    assert broker.hlen("unacked") == 0


@pytest.mark.parametrize("file", ["Procfile", "docker-compose.yml"])
def test_pool_processes_ignore_the_platforms_signal(file: str):
    """See billiard/common.py: it reads the variable once, before any code of ours runs."""
    workers = [line for line in (ROOT / file).read_text().splitlines() if " worker " in line]
    assert len(workers) == 3
    assert all("env REMAP_SIGTERM=SIGQUIT celery " in line for line in workers)
