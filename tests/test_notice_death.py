"""A pool process or a worker dies: its job goes on soon. A worker that was suspended harms nothing, and is not blamed.

No test here sweeps: the worker itself, or the leading beat, notices the death.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import wait_until
from mediaapp.models import User
from tests import in_subprocess
from tests.faulty_tasks import let_go, lines
from workers.models import Job
from workers.practices import locks, progress
from workers.telemetry import lock_server
from workers.telemetry.held_locks import PREFIX, held_locks, release_locks_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_lease")]
TASK = "tests.faulty_tasks.report_for_ever"
Start = Callable[..., subprocess.Popen]


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_url(request, broker, settings) -> str:
    return settings.BROKER_URL if request.param == "valkey" else request.getfixturevalue("vhost").url


def watch_began() -> float:
    return float(get_redis_connection("locks").get(lock_server.WATCH_KEY).split()[0])


def start_worker(start: Start, url: str) -> subprocess.Popen:
    return start("highmem", app="tests.fast_app", BROKER_URL=url)


def run_job(owner: User, url: str) -> Job:
    """A job that reports until the test lets it go. Workers have watched the locks' server for a lease."""
    job = Job.objects.create(task=TASK, queue="highmem", owner=owner, queued_at=timezone.now())
    publish = f"from workers import jobs; from workers.models import Job; jobs.publish(Job.objects.get(pk='{job.pk}'))"
    in_subprocess.run(publish, BROKER_URL=url)
    wait_until(lambda: progress.read(job.pk), "the job to report")
    wait_until(lambda: lock_server.seconds_without_loss() >= settings.JOB_LEASE, "the server to be up for a lease")
    return job


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def assert_ended_by_attempt(job: Job, attempt: int) -> None:
    let_go()
    wait_until(lambda: read(job).is_final, "the job to end")
    assert (read(job).state, read(job).attempt) == (Job.State.DONE, attempt)


def test_a_worker_takes_the_job_of_its_dead_process_up_again(start: Start, alice: User, broker_url: str):
    worker = start_worker(start, broker_url)
    job = run_job(alice, broker_url)
    for child in psutil.Process(worker.pid).children():
        child.kill()
    wait_until(lambda: len(lines()) == 2, "the job to go on")
    assert lines() == ["report from 0", "report from 7"]
    assert read(job).crash_count <= 1  # 0 after its checkpoint
    assert_ended_by_attempt(job, 2)


def test_the_leading_beat_gives_the_job_of_a_dead_worker_to_another_one(start: Start, alice: User, broker_url: str):
    start("beat", BROKER_URL=broker_url)
    worker = start_worker(start, broker_url)
    job = run_job(alice, broker_url)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    start_worker(start, broker_url)
    wait_until(lambda: len(lines()) == 2, "the job to go on")
    assert_ended_by_attempt(job, 2)


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_a_job_goes_on_whose_worker_died_with_the_leading_beat(start: Start, alice: User, broker_url: str, settings):
    """The new leader finds no gap in the watch of the locks' server: it would wait for one more lease."""
    settings.JOB_LEASE = 7  # less than what is left of the leader's lease
    beats = [start("beat", BROKER_URL=broker_url) for _ in range(2)]
    start("default", app="tests.fast_app", BROKER_URL=broker_url, HEARTBEAT_SECONDS="0.5")  # it watches meanwhile
    worker = start_worker(start, broker_url)
    job = run_job(alice, broker_url)
    holder = next(lock.holder for lock in held_locks() if lock.name == "beat")
    leader = next(beat for beat in beats if holder.endswith(f" {beat.pid}"))
    began = watch_began()
    leader.kill()
    os.killpg(worker.pid, signal.SIGKILL)
    start_worker(start, broker_url)
    wait_until(lambda: len(lines()) == 2, "the job to go on")
    assert watch_began() == began
    assert_ended_by_attempt(job, 2)


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_a_worker_that_was_suspended_writes_nothing_more_and_counts_as_no_crash(
    start: Start, alice: User, broker_url: str
):
    start("beat", BROKER_URL=broker_url)
    worker = start_worker(start, broker_url)
    job = run_job(alice, broker_url)
    os.killpg(worker.pid, signal.SIGSTOP)
    wait_until(lambda: read(job).crash_count == 1, "it to be taken for dead")
    Job.objects.update(not_before=timezone.now() + timedelta(hours=1))  # no second attempt
    os.killpg(worker.pid, signal.SIGCONT)
    wait_until(lambda: read(job).crash_count == 0, "the crash to be withdrawn")
    assert (read(job).state, read(job).attempt) == (Job.State.QUEUED, 1)


def hold_lock(name: str, held: Path) -> None:
    with locks.exclusive(name, lease=60):
        held.touch()
        time.sleep(60)


def test_a_dead_process_loses_its_locks_and_no_other_one_does(tmp_path: Path):
    processes = [
        get_context("fork").Process(target=hold_lock, args=(name, tmp_path / name), daemon=True)
        for name in ("dead", "living")
    ]
    for process in processes:
        process.start()
    wait_until(lambda: all((tmp_path / name).exists() for name in ("dead", "living")), "both locks")
    # A container on this host may have a process of the same pid.
    stranger = f"{PREFIX}stranger", f"no task on {socket.gethostname()}, pid {processes[0].pid} 1 0123456789abcdef-0"
    get_redis_connection("locks").set(*stranger, ex=60)
    with locks.exclusive("ours", lease=60):
        processes[0].kill()
        processes[0].join()
        assert release_locks_of(processes[0].pid) == ["dead"]
        assert [locks.is_held(name) for name in ("dead", "living", "ours", "stranger")] == [False, True, True, True]
    processes[1].kill()
