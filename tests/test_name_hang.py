"""A worker, a pool process or a program stands still: the doctor names it, and its slot and its job come back."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.utils import timezone
from redis import Redis

from devtools.processes import procfile_command, ready_process, wait_until
from mediaapp.models import User
from tests.conftest import environment
from tests.faulty_tasks import let_go, lines
from workers import jobs
from workers.models import Job
from workers.practices import backlog
from workers.telemetry import liveness

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_lease")]
Start = Callable[..., subprocess.Popen]


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    """The doctor names in seconds what it names in a quarter of a minute on a site."""
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 5)
    monkeypatch.setattr(liveness, "IDLE_SECONDS", 3)


def run_job(owner: User, task: str = "report_for_ever") -> Job:
    job = Job.objects.create(task=f"tests.faulty_tasks.{task}", queue="highmem", owner=owner, queued_at=timezone.now())
    jobs.publish(job)
    wait_until(lines, "the job to begin")
    return job


def wait_for_fault(words: str) -> None:
    wait_until(lambda: words in backlog.verify().reason, words)


def is_named(words: str) -> bool:
    return words in backlog.verify().reason


def test_a_living_worker_is_not_named_and_one_that_was_told_to_stop_is_not_silent(
    start: Start, broker: Redis, monkeypatch
):
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 60)  # for a living one that stands still
    worker = start("highmem")
    assert not is_named("highmem@")
    assert not is_named("jobs from imports")
    assert is_named("No worker takes jobs from video")
    worker.terminate()
    worker.wait()
    wait_for_fault("No worker takes jobs from imports")
    assert not is_named("silent")


def test_a_stopped_worker_is_named_until_it_goes_on(start: Start, broker: Redis):
    worker = start("video")
    os.killpg(worker.pid, signal.SIGSTOP)
    wait_for_fault("video@")
    assert is_named("has been silent")
    assert is_named("No worker takes jobs from video")
    os.killpg(worker.pid, signal.SIGCONT)
    wait_until(lambda: not is_named("video@"), "the worker to be heard again")


def test_a_worker_with_wrong_queues_is_named(transactional_db, broker: Redis, tmp_path: Path):
    command = [word.replace("urgent,default", "default") for word in procfile_command("video")]
    command[command.index("--queues") + 1] = "default"
    with ready_process("video", command, environment(), log=tmp_path / "log"):
        wait_for_fault("consumes default: start it with --queues video")
        assert is_named("No worker takes jobs from video")


def test_a_pool_process_that_hangs_is_named_and_killed_and_its_job_goes_on(start: Start, alice: User, broker: Redis):
    worker = start("highmem", app="tests.fast_app", SILENT_SECONDS="5", KILL_SECONDS="10")
    job = run_job(alice)
    (child,) = psutil.Process(worker.pid).children()
    wait_until(liveness.read_runs, "its first heartbeat")
    child.suspend()
    wait_for_fault("The process of report_for_ever on highmem@")
    wait_until(lambda: not child.is_running(), "it to be killed")

    def goes_on() -> bool:
        jobs.sweep()
        return len(lines()) == 2

    wait_until(goes_on, "the job to go on")
    wait_until(lambda: not is_named("report_for_ever"), "nothing to be named")
    let_go()
    wait_until(lambda: Job.objects.get(pk=job.pk).is_final, "its end")
    assert Job.objects.get(pk=job.pk).state == Job.State.DONE


def test_a_program_that_hangs_is_named_until_it_goes_on(start: Start, alice: User, broker: Redis):
    worker = start("highmem", app="tests.fast_app")
    run_job(alice, "run_program")
    wait_until(lambda: psutil.Process(worker.pid).children(recursive=True)[1:], "the program")
    program = psutil.Process(worker.pid).children(recursive=True)[-1]
    assert not is_named("used no processor")
    program.suspend()
    wait_for_fault("The program that run_program runs on highmem@")
    program.resume()
    wait_until(lambda: not is_named("used no processor"), "it to work again")
    let_go()
