"""A pool process hangs, with a run or idle: its worker says so and kills it, and its task runs once more, or once."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psutil
import pytest
from celery import current_app
from celery.worker import state
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import wait_until
from mediaapp.models import User
from tests import in_subprocess
from tests.faulty_tasks import let_go, lines
from workers.models import Job, TaskRun
from workers.runtime import hung_processes
from workers.runtime.hung_processes import HungProcessWatch
from workers.telemetry import liveness, rollups
from workers.telemetry.recorder import HEARTBEATS

Start = Callable[..., subprocess.Popen]
WORKER = "highmem@this-host"
JOB_ID = "4a1d"
SEND = "from celery import current_app; [current_app.send_task('tests.faulty_tasks.{}', queue='{}') for _ in range({})]"


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_url(request, broker, settings) -> str:
    return settings.BROKER_URL if request.param == "valkey" else request.getfixturevalue("vhost").url


def publish_job(owner: User, url: str) -> Job:
    task = "tests.faulty_tasks.report_for_ever"
    job = Job.objects.create(task=task, queue="highmem", owner=owner, queued_at=timezone.now())
    publish = f"from workers import jobs; from workers.models import Job; jobs.publish(Job.objects.get(pk='{job.pk}'))"
    in_subprocess.run(publish, BROKER_URL=url)
    return job


def faults() -> str:
    return " ".join(liveness.faults())


def wait_for_fault(words: str) -> None:
    wait_until(lambda: words in faults(), words)


@pytest.mark.django_db(transaction=True)
def test_an_idle_process_that_hangs_is_named_and_killed_and_its_message_runs_once(
    start: Start, alice: User, broker_url: str, monkeypatch
):
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 5)
    worker = start("highmem", app="tests.fast_app", BROKER_URL=broker_url, SILENT_SECONDS="5", KILL_SECONDS="10")
    in_subprocess.run(SEND.format("do_nothing", "highmem", 1), BROKER_URL=broker_url)
    wait_until(lines, "the process to be up, else Celery kills it")
    (child,) = psutil.Process(worker.pid).children()
    child.suspend()
    job = publish_job(alice, broker_url)
    wait_for_fault("has not begun its report_for_ever")
    wait_until(lambda: not child.is_running(), "it to be killed")
    wait_until(lambda: len(lines()) == 2, "another process to take the message")
    wait_until(lambda: "report_for_ever" not in faults(), "nothing to be named")
    let_go()
    wait_until(lambda: Job.objects.get(pk=job.pk).is_final, "its end")
    job.refresh_from_db()
    assert (job.state, job.attempt, job.crash_count, job.dispatch_number) == (Job.State.DONE, 1, 0, 0)
    assert lines() == ["do_nothing", "report from 0"]


@pytest.mark.django_db(transaction=True)
def test_one_of_four_idle_processes_hangs_and_the_busy_ones_go_on(start: Start, broker):
    worker = start("default", app="tests.fast_app", SILENT_SECONDS="5", KILL_SECONDS="3")
    in_subprocess.run(SEND.format("do_nothing", "default", 12))
    wait_until(lambda: len(lines()) == 12, "the processes to be up")
    idle, *others = psutil.Process(worker.pid).children()
    idle.suspend()
    in_subprocess.run(SEND.format("wait_for_go", "default", 4))
    wait_until(lambda: not idle.is_running(), "it to be killed")
    wait_until(lambda: lines().count("waiting") == 4, "another process to take its message")
    assert all(process.is_running() for process in others)
    let_go()
    wait_until(lambda: not liveness.read_runs(), "the end")
    assert lines().count("waiting") == 4


@pytest.fixture
def process() -> Iterator[subprocess.Popen]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def watch(monkeypatch) -> HungProcessWatch:
    monkeypatch.setattr(hung_processes, "KILL_SECONDS", -0.1)
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 5)
    return HungProcessWatch(WORKER)


@pytest.fixture
def reserve() -> Iterator[Callable[..., None]]:
    """Reserves a task as a worker does: it runs in a process, waits in its pipe, or waits for one that is free."""
    kept = []

    def reserve(running_in: int | None = None, written_to: subprocess.Popen | None = None) -> None:
        result = SimpleNamespace(_write_to=written_to)
        request = Request(id=JOB_ID, name="a.task", worker_pid=running_in, _apply_result=lambda: result)
        kept.append(request)
        state.reserved_requests.add(request)

    yield reserve
    state.reserved_requests.clear()


class Request(SimpleNamespace):
    """Celery's, in a set."""

    __hash__ = object.__hash__


def send_heartbeat(pid: int, age: float = 0, worker: str = WORKER, key: str = JOB_ID) -> None:
    run = {"task": "a.task", "worker": worker, "pid": pid, "ended_at": time.time() - age}
    get_redis_connection("locks").hset(HEARTBEATS, f"{key} {pid}", json.dumps(run))


def let_time_pass(watch: HungProcessWatch, seconds: float) -> None:
    for moments in (watch.assigned_since, watch.silent_since):
        moments.update({task: since - seconds for task, since in moments.items()})


def test_a_message_in_the_pipe_of_an_idle_process_is_named_late_and_not_at_once(watch, reserve, process):
    reserve(written_to=process)
    assert watch.check() == []
    let_time_pass(watch, 4)
    assert watch.check() == []
    let_time_pass(watch, 2)
    (hung,) = watch.check()
    assert (hung.task, hung.has_begun) == ("a.task", False)
    wait_until(lambda: process.poll() is not None, "it to be killed")


def test_a_message_that_waits_for_a_free_process_is_not_named(watch, reserve):
    reserve()
    watch.check()
    let_time_pass(watch, 60)
    assert watch.check() == []


def test_a_process_that_is_busy_with_a_message_that_the_pool_forgot_is_not_killed(watch, reserve, process):
    reserve(written_to=process)
    watch.check()
    let_time_pass(watch, 60)
    send_heartbeat(process.pid, key="another")
    assert watch.check() == []
    assert process.poll() is None


def test_a_worker_that_stood_still_itself_begins_to_count_anew(watch, reserve, process):
    reserve(written_to=process)
    watch.check()
    let_time_pass(watch, 60)
    watch.checked_at -= 60
    assert watch.check() == []


@pytest.mark.parametrize("dead", [1, 10_000_000])  # before and after the living one in the order of keys
def test_a_run_does_not_take_over_the_heartbeat_of_a_dead_attempt_at_the_same_job(watch, reserve, process, dead):
    reserve(running_in=process.pid)
    send_heartbeat(dead, age=60)
    send_heartbeat(process.pid)
    send_heartbeat(dead + 1, age=60)
    assert watch.check() == []
    assert process.poll() is None


def test_a_run_that_hangs_is_not_hidden_by_the_living_attempt_of_another_worker(watch, reserve, process):
    reserve(running_in=process.pid)
    send_heartbeat(process.pid, age=60)
    send_heartbeat(os.getpid(), worker="highmem@other-host")
    (hung,) = watch.check()
    assert hung.has_begun
    assert hung.seconds >= liveness.SILENT_SECONDS
    wait_until(lambda: process.poll() is not None, "it to be killed")


@pytest.mark.django_db(transaction=True)
def test_the_run_of_a_dead_process_is_lost_at_once_and_not_called_silent(start: Start, broker):
    worker = start("highmem", app="tests.fast_app")
    current_app.send_task("tests.faulty_tasks.wait_for_go", queue="highmem")
    wait_until(liveness.read_runs, "its first heartbeat")
    (child,) = psutil.Process(worker.pid).children()
    child.kill()
    wait_until(lambda: pids_of_runs() not in ([], [child.pid]), "the heartbeat of the next run")
    assert child.pid not in pids_of_runs()
    assert rollups.collect_runs() == 1
    assert TaskRun.objects.get().outcome == "lost"
    let_go()


def pids_of_runs() -> list[int]:
    return [run["pid"] for run in liveness.read_runs()]
