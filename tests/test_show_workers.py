"""The page of the workers: who lives, how busy it is, what it runs; which beat leads; what is paused."""

import json
import os
import re
import signal
import time
from dataclasses import asdict, replace

import pytest
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import wait_until
from tests.faulty_tasks import let_go
from tests.outages import make_unreachable
from tests.test_show_queue import read, words
from workers import jobs
from workers.models import Job, Pause
from workers.telemetry import liveness
from workers.telemetry.liveness import HungProcess, Worker, WorkerLoad

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/operations/workers/"


def living(name="video@host", queues=("video",), **fields):
    now = time.time()
    worker = Worker(name, list(queues), started_at=now - 7200, beat_at=now)
    worker = replace(worker, **fields)
    liveness.beat(worker)
    return worker


def test_a_heartbeat_of_a_newer_release_is_read_without_what_it_adds(broker):
    worker = living(hung=[HungProcess("a", 3.0, has_begun=True)])
    value = asdict(worker) | {"region": "eu"}
    value["hung"][0]["pid"] = 7
    get_redis_connection("locks").set(worker.key, json.dumps(value))
    assert liveness.read_workers() == [worker]


def test_only_staff_see_it(as_stella, as_alice, client):
    assert as_stella.get(PAGE).status_code == 200
    assert as_alice.get(PAGE).status_code == 404
    assert client.get(PAGE).headers["Location"] == f"/accounts/login/?next={PAGE}"


def test_the_page_asks_as_often_for_many_workers_as_for_one(as_stella):
    redis = get_redis_connection("locks")

    def count_commands() -> int:
        before = count_calls()
        as_stella.get(f"{PAGE}live/")
        return count_calls() - before

    def count_calls() -> int:
        stats = redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("get", "mget"))

    living()
    one = count_commands()
    for number in range(20):
        living(f"video@{number}")
    assert count_commands() == one


def test_without_processes_each_missing_one_is_named(as_stella):
    page = read(as_stella, PAGE)
    for worker in ("default", "video", "highmem"):
        assert f"Missing No {worker} worker gives a sign of life. Start one." in page
    assert "None leads Nothing recurring is sent, and nobody samples the queues." in page
    assert "None is paused." in page


def test_a_busy_worker_shows_its_slots_its_memory_and_its_job(start, as_stella, alice, broker):
    """The broker has no part in it: heartbeats are on the server of the locks."""
    start("beat")
    start("highmem", app="tests.fast_app", RELEASE="v42")
    task = "tests.faulty_tasks.report_for_ever"
    job = Job.objects.create(task=task, queue="highmem", owner=alice, queued_at=timezone.now())
    jobs.publish(job)

    def shows_the_job() -> bool:
        html = as_stella.get(PAGE).content.decode()
        return f'href="/jobs/{job.pk}/"' in html and "processes busy 1 of 1" in words(html)

    wait_until(shows_the_job, "the job on the page")
    page = read(as_stella, PAGE)
    assert re.search(r"highmem@\S+ Alive consumes highmem , imports , maintenance processes busy 1 of 1", page), page
    assert re.search(r"memory \d\d+ MB release v42 up for \d+ s last sign of life \d s ago", page), page
    assert "Running now report_for_ever" in page
    assert "Missing No highmem" not in page
    assert re.search(r"Leads \S+ \d+, for \d+ s; it ticked \d+ s ago", page), page
    let_go()
    wait_until(lambda: "processes busy 0 of 1" in read(as_stella, PAGE), "the job to end")


def test_a_worker_that_is_killed_is_silent_until_another_one_starts(start, as_stella, broker, monkeypatch):
    worker = start("video", app="tests.fast_app")
    assert "Alive" in read(as_stella, PAGE)
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 3)
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(lambda: "Silent for" in read(as_stella, PAGE), "the silence")
    page = read(as_stella, PAGE)
    assert "Missing No video worker" in page
    assert "no other one has started since. What follows is its last word." in page
    assert "was up for" in page
    other = start("video", app="tests.fast_app")
    wait_until(lambda: "Silent" not in read(as_stella, PAGE), "the other one")
    os.kill(other.pid, signal.SIGTERM)  # it stops as it should, and leaves nothing
    other.wait()
    redis = get_redis_connection("locks")
    assert [len(redis.keys(f"{prefix}*")) for prefix in (liveness.PREFIX, liveness.LOAD_PREFIX)] == [1, 1]


def test_a_worker_of_an_older_or_a_newer_release_is_read(as_stella):
    worker = living()
    assert "processes busy \u2013 memory \u2013 release an older one up for 2 h" in read(as_stella, PAGE)
    liveness.beat(worker, WorkerLoad(processes=1, busy=1, rss_bytes=48_000_000, release="v1"))
    redis = get_redis_connection("locks")
    redis.set(worker.load_key, redis.get(worker.load_key).replace(b"{", b'{"of_tomorrow": 1, ', 1))
    assert "processes busy 1 of 1 memory 48 MB release v1" in read(as_stella, PAGE)


def test_the_older_release_reads_the_heartbeat_of_this_one():
    """It has no other fields, and fails at an unknown one."""
    worker = living()
    known = {"name", "queues", "started_at", "beat_at", "hung"}
    assert json.loads(get_redis_connection("locks").get(worker.key)).keys() == known


def test_a_process_that_hangs_is_named(as_stella):
    living(hung=[HungProcess("workers.video.tasks.transcode_video", 20.0, has_begun=True)])
    assert "Hangs The process of transcode_video has been silent for 20 s." in read(as_stella, PAGE)


def test_paused_queues_are_listed(as_stella):
    liveness.beat(living(), WorkerLoad(1, 0, 48_000_000, "v1", paused=["video"]))
    Pause.objects.create(kind="queue", name="video", paused_by="bob")
    Pause.objects.create(kind="entry", name="sweep", paused_by="bob")
    page = read(as_stella, PAGE)
    assert "video Paused by bob since" in page
    assert "consumes video (paused)" in page
    assert "sweep" not in page


def test_without_the_server_of_the_locks_the_page_says_so(as_stella, settings):
    Pause.objects.create(kind="queue", name="video", paused_by="bob")
    make_unreachable(settings, "locks")
    page = read(as_stella, PAGE)
    assert "Nobody knows which are alive: the server of the locks does not answer" in page
    assert "Nobody knows which one leads" in page
    assert "video Paused by bob" in page
