"""The server of the locks is flushed or restarted: no living job begins anew, and a dead worker's job still goes on."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from celery.exceptions import Ignore
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection
from redis import Redis

from devtools.processes import wait_until
from mediaapp.models import User
from tests.brokers import Broker
from tests.faulty_tasks import let_go, lines
from workers import jobs
from workers.jobs import recovery
from workers.models import Job
from workers.practices import locks, progress
from workers.telemetry import lock_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_lease")]
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def locks_server(tmp_path: Path, settings) -> Iterator[Broker]:
    """A server of the locks that a test can restart; its keys are on disk."""
    (tmp_path / "locks").mkdir()
    server = Broker(tmp_path / "locks")
    server.start()
    settings.CACHES = settings.CACHES | {"locks": settings.CACHES["locks"] | {"LOCATION": server.url}}
    yield server
    server.kill()


def start_job(start: Start, owner: User, **variables: str) -> tuple[subprocess.Popen, Job]:
    """A worker, and in it a job that reports until the test lets it go. It has run for a minute, says its row."""
    worker = start("highmem", app="tests.fast_app", **variables)
    job = Job.objects.create(
        task="tests.faulty_tasks.report_for_ever", queue="highmem", owner=owner, queued_at=timezone.now()
    )
    current_app.send_task(job.task, args=[str(job.pk)], task_id=str(job.pk), queue="highmem")
    wait_until(lambda: lines() and progress.read(job.pk), "the job to report")
    Job.objects.update(started_at=timezone.now() - timedelta(minutes=1))
    return worker, job


def sweep_until(condition: Callable[[], object], what: str) -> None:
    def sweep() -> object:
        jobs.sweep()
        return condition()

    wait_until(sweep, what)


def assert_undisturbed(job: Job) -> None:
    let_go()
    wait_until(lambda: Job.objects.get(pk=job.pk).is_final, "the job to end")
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, ended.attempt, ended.crash_count) == (Job.State.DONE, 1, 0)


def test_a_flush_disturbs_no_living_job(start: Start, alice: User, broker: Redis):
    _, job = start_job(start, alice)
    for _ in range(3):
        get_redis_connection("locks").flushdb()
        sweep_until(lambda: locks.is_held(f"job:{job.pk}"), "the lock to be taken again")
    assert_undisturbed(job)


@pytest.mark.parametrize("is_long", [False, True])
def test_a_restart_disturbs_no_living_job(
    start: Start, alice: User, broker: Redis, locks_server: Broker, short_lease: int, is_long: bool
):
    _, job = start_job(start, alice, LOCKS_URL=locks_server.url)
    sweep_until(lambda: recovery.orphans() is not None, "a first look")
    locks_server.kill()
    time.sleep(short_lease + 1 if is_long else 0)
    locks_server.start()
    get_redis_connection("locks").delete("lock:job:" + str(job.pk))  # as when it ended during the outage
    sweep_until(lambda: locks.is_held(f"job:{job.pk}"), "the lock to be taken again")
    assert_undisturbed(job)


def test_a_flush_during_a_look_shows_in_the_next_one(broker: Redis):
    redis = get_redis_connection("locks")
    redis.set(lock_server.WATCH_KEY, f"0 {time.time()}")
    read = lock_server._read_watch

    def read_and_flush(*arguments: Redis) -> tuple[float, float, float]:
        patch.undo()
        found = read(*arguments)
        redis.flushdb()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock_server, "_read_watch", read_and_flush)
        lock_server.watch_locks(max_gap_seconds=60)
    lock_server.watch_locks(max_gap_seconds=60)
    assert float(redis.get(lock_server.WATCH_KEY).split()[0]) > 0


def test_the_job_of_a_worker_that_died_with_the_flush_goes_on(start: Start, alice: User, broker: Redis):
    worker, job = start_job(start, alice)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    get_redis_connection("locks").flushdb()
    sweep_until(lambda: Job.objects.get(pk=job.pk).state == Job.State.QUEUED, "the orphan to be found")
    assert Job.objects.get(pk=job.pk).crash_count == 1


def test_a_message_that_comes_again_right_after_a_flush_does_not_take_the_job(alice: User):
    job = jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={"source": "x"})

    def deliver_again() -> None:
        with pytest.raises(Ignore), jobs.working_on(str(job.id)):
            pytest.fail("the first one is still alive")
        connection.close()

    with jobs.working_on(str(job.id)) as attempt:
        get_redis_connection("locks").flushdb()
        thread = threading.Thread(target=deliver_again)
        thread.start()
        thread.join()
        attempt.report(1, 2, "going on")
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, ended.attempt, ended.crash_count) == (Job.State.DONE, 1, 0)


def test_work_with_a_fencing_token_goes_on_while_the_server_is_away(locks_server: Broker):
    with locks.exclusive("job:7", lease=1, is_fenced=True) as lease:
        locks_server.kill()
        time.sleep(2)
        lease.check()
        locks_server.start()
        wait_until(lambda: locks.is_held("job:7"), "the lock to be taken again")
        lease.check()
