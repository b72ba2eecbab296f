"""Work reports its progress: JSON under the object's id, with a TTL, a few times a second at most."""

import json
import os
import re
import signal
import time

import pytest
from celery import current_app
from django.core.cache import cache
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import wait_until
from mediaapp.models import Upload
from workers import jobs
from workers.models import Job
from workers.practices import progress


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work(clock: Clock) -> progress.Progress:
    return progress.Progress("7", owner=1, clock=clock)


def stored() -> dict:
    return json.loads(get_redis_connection("default").get("file_process_task_7"))


def test_a_report_is_json_under_the_objects_id_with_a_ttl(work):
    work.report(5, 15, "writing", created=4)
    assert (stored()["done"], stored()["total"], stored()["figures"]) == (5, 15, {"created": 4})
    assert 0 < get_redis_connection("default").ttl("file_process_task_7") <= progress.TTL


def writes() -> int:
    return get_redis_connection("default").info("commandstats").get("cmdstat_set", {"calls": 0})["calls"]


def test_a_report_per_row_is_written_a_few_times_a_second(work, clock):
    before = writes()
    for row in range(1000):
        clock.now += 0.001
        work.report(row, 10_000, "writing")
    assert 1 < writes() - before <= 1 / progress.WRITE_SECONDS + 1


def test_slow_progress_is_written_at_the_heartbeat_alone(work, clock):
    before = writes()
    for second in range(100):
        clock.now += 1
        work.report(second, 1_000_000, "writing")
    assert 100 / progress.HEARTBEAT_SECONDS - 1 <= writes() - before <= 100 / progress.HEARTBEAT_SECONDS + 1


@pytest.mark.parametrize("place", [(0, 0), (10, 10)])
def test_progress_that_stands_still_is_written_once(work, place):
    before = writes()
    for _ in range(100):
        work.report(*place, "reading")
    assert writes() - before == 1


def test_a_new_stage_and_the_end_are_written_at_once(work):
    work.report(1, 10, "reading")
    work.report(2, 10, "writing")
    assert stored()["stage"] == "writing"
    work.report(10, 10, "writing")
    assert stored()["done"] == 10


def test_rate_and_seconds_left_are_those_of_the_stage(work, clock):
    work.report(0, 1000, "reading")
    clock.now += 100
    work.report(0, 1000, "writing")
    clock.now += 10
    work.report(200, 1000, "writing")
    assert (stored()["rate"], stored()["eta_seconds"]) == (20.0, 40)


def test_done_is_at_most_the_total(work):
    work.report(16, 15, "writing")
    assert stored()["done"] == 15


def test_an_unknown_total_gives_no_seconds_left(work, clock):
    work.report(1, 0, "transcoding")
    clock.now += 5
    work.report(9, 0, "transcoding")
    assert stored()["eta_seconds"] is None


def test_the_next_report_after_a_flush_is_written(work, clock):
    work.report(5, 15, "writing")
    get_redis_connection("default").flushall()
    assert progress.read("7") is None
    clock.now += 1
    work.report(6, 15, "writing")
    assert progress.read("7")["done"] == 6


def test_an_old_report_is_not_read(work):
    work.report(5, 15, "writing")
    old = stored() | {"updated_at": 0}
    get_redis_connection("default").set("file_process_task_7", json.dumps(old))
    assert progress.read("7") is None


@pytest.mark.django_db
def test_work_goes_on_while_the_cache_is_away(settings):
    settings.CACHES = settings.CACHES | {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
    progress.Progress("7", owner=1).report(5, 15, "writing")
    assert progress.read("7") is None
    assert progress.verify().ok is None


def test_clear_deletes_the_progress_of_one_object(work):
    work.report(5, 15, "writing")
    progress.Progress("8", owner=1).report(5, 15, "writing")
    progress.clear("8")
    assert progress.read("7") is not None
    assert progress.read("8") is None


@pytest.mark.django_db
def test_verify_fails_while_a_running_job_reports_nothing(alice):
    job = Job.objects.create(task="x", queue="video", owner=alice, queued_at=timezone.now())
    long_ago = timezone.now() - timezone.timedelta(minutes=1)
    Job.objects.update(state=Job.State.RUNNING, started_at=long_ago)
    assert progress.verify().ok is False
    assert str(job.pk) in progress.verify().reason
    progress.Progress(job.pk, owner=alice.pk).report(1, 2, "writing")
    assert progress.verify().ok is True


def test_verify_fails_while_a_worker_is_frozen(start, monkeypatch, alice):
    monkeypatch.setattr(progress, "STALE_AFTER", 6)  # a worker reports the same progress every two seconds
    job = Job.objects.create(task="x", queue="video", owner=alice, queued_at=timezone.now())
    worker = start("video", app="tests.fast_app")
    current_app.send_task("tests.faulty_tasks.report_for_ever", args=[str(job.pk)], queue="video")
    wait_until(lambda: Job.objects.filter(started_at__lt=timezone.now() - timezone.timedelta(seconds=6)), "the job")
    wait_until(lambda: progress.verify().summary == "1 in progress, 0 silent, 0 without end", "its report")
    assert progress.verify().ok is True
    os.killpg(worker.pid, signal.SIGSTOP)
    wait_until(lambda: progress.verify().ok is False, "the silence")
    assert str(job.pk) in progress.verify().reason
    os.killpg(worker.pid, signal.SIGCONT)
    wait_until(lambda: progress.verify().ok is True, "the next report")


@pytest.mark.django_db
def test_the_page_of_a_silent_job_shows_its_age_and_its_last_progress(alice, as_alice):
    job = Job.objects.create(task="x", queue="video", owner=alice, queued_at=timezone.now(), state=Job.State.RUNNING)
    progress.Progress(job.pk, owner=alice.pk).report(1, 2, "writing")
    assert jobs.state_of(job)["message"] == ""
    key = progress.KEY.format(job.pk)
    old = cache.get(key) | {"updated_at": time.time() - 25, "eta_seconds": 3, "rate": 7.0}
    cache.set(key, old, progress.TTL)
    state = jobs.state_of(job)
    assert re.search(r"No sign of life for 2\d s", state["message"])
    assert (state["done"], state["total"], state["stage"]) == (1, 2, "writing")
    assert (state["eta_seconds"], state["rate"]) == (None, None)  # nobody knows that now
    Upload.objects.create(job=job, owner=alice, kind="video", name="film.mp4", file="x", size=1)
    swapped = as_alice.get(f"/jobs/{job.pk}/progress").content.decode()
    assert re.search(r"No sign of life for 2\d s", swapped)
    assert jobs.user_messages.STARTING not in swapped
    assert "data-starting" not in swapped  # by which the browser would keep the old picture


@pytest.mark.django_db
def test_verify_fails_for_a_key_without_a_ttl(work):
    work.report(5, 15, "writing")
    assert progress.verify().ok is True
    get_redis_connection("default").persist("file_process_task_7")
    assert progress.verify().ok is False
    assert "file_process_task_7" in progress.verify().reason


def test_check_fires_when_the_cache_would_pickle(settings):
    assert progress.check() == []
    pickled = settings.CACHES["default"] | {"OPTIONS": {}}
    settings.CACHES = settings.CACHES | {"default": pickled}
    assert [message.id for message in progress.check()] == ["practices.E601"]
