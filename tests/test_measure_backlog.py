"""Practice 8: messages, ages and consumers of each queue, the same on both brokers."""

import os
import signal
import time
from dataclasses import replace

import psutil
import pytest
from celery import current_app
from django.core.cache import cache
from django.utils import timezone

from devtools.processes import DEADLINE_SECONDS, wait_until
from tests import in_subprocess
from workers import jobs
from workers.brokers import UNKNOWN, state
from workers.brokers.connection import count_ready
from workers.brokers.state import read_queue_states, read_queue_states_or_unknown
from workers.models import Job, QueueSample
from workers.practices import backlog
from workers.queues import Queue, table
from workers.telemetry import canary_marks, queue_samples
from workers.telemetry.queue_flow import QueueRow, current_flows, queue_rows
from workers.telemetry.waits import jobs_without_message

pytestmark = pytest.mark.django_db(transaction=True)
VIDEO = "workers.video.tasks.transcode_video"
SAMPLE = "from workers.practices import backlog; backlog.sample()"


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each call asks the broker."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


@pytest.fixture(params=["valkey", "rabbitmq", "rabbitmq without its management"])
def broker_environment(request, settings) -> dict[str, str]:
    """The environment of a process, for each broker."""
    if request.param == "valkey":
        request.getfixturevalue("broker")
    else:
        vhost = request.getfixturevalue("vhost")
        settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = vhost.url, vhost.management
    if "without" in request.param:
        settings.BROKER_MANAGEMENT_URL = "http://127.0.0.1:1"
    return {"BROKER_URL": settings.BROKER_URL, "BROKER_MANAGEMENT_URL": settings.BROKER_MANAGEMENT_URL}


def ago(seconds: float) -> timezone.datetime:
    return timezone.now() - timezone.timedelta(seconds=seconds)


def job(queue: str = "video", **fields) -> Job:
    return Job.objects.create(task=VIDEO, queue=queue, **{"queued_at": timezone.now()} | fields)


def sampled(seconds_ago: float, **counts) -> None:
    """A sample of every queue."""
    QueueSample.objects.bulk_create(
        QueueSample(queue=name, taken_at=ago(seconds_ago), **counts) for name in table().queues
    )


def rows() -> list[QueueRow]:
    return queue_rows(read_queue_states_or_unknown(), jobs_without_message(), backlog.oldest_waits(), current_flows())


def wait_for_video(**expected: int | None) -> None:
    def found() -> dict:
        video = read_queue_states()["video"]
        return {name: video[name] for name in expected}

    wait_until(lambda: found() == expected, f"{expected}, not {found()}")


def test_ready_messages_and_consumers_are_counted(broker_environment, start):
    in_subprocess.publish(VIDEO, "video", 3, **broker_environment)
    wait_for_video(ready=3, consumers=0)
    assert (count_ready("video"), count_ready("imports")) == (3, 0)
    worker = start("video", **broker_environment)
    wait_for_video(ready=0, consumers=1)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_for_video(consumers=0)


def test_unacked_messages_are_counted(broker_environment, start):
    worker = start("video", **broker_environment)
    for child in psutil.Process(worker.pid).children(recursive=True):
        child.suspend()  # the worker takes a message and never acknowledges it
    in_subprocess.publish(VIDEO, "video", 3, **broker_environment)
    known = not broker_environment["BROKER_MANAGEMENT_URL"].endswith(":1")
    wait_for_video(ready=2, unacked=1 if known else None, consumers=1)


@pytest.mark.parametrize("broker_environment", ["valkey", "rabbitmq"], indirect=True)
def test_an_unanswered_canary_has_an_age(broker_environment, start):
    in_subprocess.run(SAMPLE, **broker_environment)
    in_subprocess.run(SAMPLE, **broker_environment)
    assert count_ready("default") == 1  # no second canary before the first is answered
    assert 0 < backlog.oldest_waits()["default"] < backlog.oldest_waits()["default"]
    assert "video" not in backlog.oldest_waits()
    start("default", **broker_environment)
    wait_until(lambda: "default" not in backlog.oldest_waits(), "the canary")


def test_a_sample_is_a_row_for_each_queue(broker):
    job(queued_at=ago(50))
    backlog.sample()
    assert QueueSample.objects.count() == len(table().queues)
    video = QueueSample.objects.get(queue="video")
    assert (video.waiting, video.unacked, video.consumers) == (1, 0, 0)
    assert 50 <= video.oldest_seconds < 500
    assert QueueSample.objects.get(queue="imports").oldest_seconds is None


def test_a_job_that_waits_in_its_row_counts_as_waiting(broker):
    """For its owner's turn, for room in the queue or for the broker: its owner waits all the same."""
    for dispatched_at in (None, None, timezone.now()):
        job(dispatched_at=dispatched_at)
    in_subprocess.publish(VIDEO, "video", 1)
    wait_for_video(ready=1)
    (video,) = (each for each in rows() if each.queue.name == "video")
    assert (video.state["ready"], video.in_rows, video.waiting) == (1, 2, 3)
    assert "waiting: 1 messages, 2 jobs without one" in backlog.verify().summary
    backlog.sample()
    assert QueueSample.objects.get(queue="video").waiting == 3
    assert QueueSample.objects.get(queue="imports").waiting == 0


def test_a_sample_without_the_broker_has_the_age_alone(settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    job(queued_at=ago(50))
    backlog.sample()
    video = QueueSample.objects.get(queue="video")
    assert (video.waiting, video.consumers) == (None, None)
    assert video.oldest_seconds >= 50


def test_the_age_is_that_of_the_oldest_queued_job():
    job(queued_at=ago(20))
    job(queued_at=ago(90))
    job("imports", queued_at=ago(500), state="running")
    assert 90 <= backlog.oldest_waits()["video"] < 500
    assert "imports" not in backlog.oldest_waits()


def test_a_job_that_was_handed_back_waits_since_its_last_dispatch():
    job(queued_at=ago(9000), started_at=ago(8000), dispatched_at=ago(60))
    assert 60 <= backlog.oldest_waits()["video"] < 500


def test_a_job_that_a_person_tried_again_waits_since_then(db):
    job(started_at=ago(7200), queued_at=ago(3600), dispatched_at=ago(1))
    assert backlog.oldest_waits()["video"] == pytest.approx(3600, abs=DEADLINE_SECONDS)


def test_a_job_does_not_wait_before_its_not_before():
    job(queued_at=ago(9000), started_at=ago(8000), not_before=ago(-60))
    assert "video" not in backlog.oldest_waits()


def test_a_job_that_was_dispatched_late_waits_since_it_was_queued():
    job(queued_at=ago(3600), dispatched_at=ago(1))
    assert backlog.oldest_waits()["video"] >= 3600


def test_a_flow_is_arrivals_ends_and_seconds_to_empty():
    sampled(600, waiting=50, unacked=0, finished=100)
    sampled(0, waiting=25, unacked=5, finished=130)
    video = current_flows()["video"]
    assert (round(video.finishing, 1), round(video.arriving, 1)) == (3, 1)
    assert video.seconds_to_empty == pytest.approx(900, rel=0.1)


def test_a_growing_queue_has_no_seconds_to_empty():
    sampled(600, waiting=0, unacked=0, finished=0)
    sampled(0, waiting=30, unacked=0, finished=0)
    assert current_flows()["video"].seconds_to_empty is None


def test_a_queue_without_two_samples_has_no_flow():
    assert current_flows() == {}
    sampled(0, waiting=30, unacked=0, finished=0)
    assert current_flows() == {}


def test_verify_fails_for_a_late_job_a_missing_sample_or_a_missing_consumer(broker, start):
    workers = {worker.name: start(worker.name) for worker in table().workers}
    sampled(1)
    assert backlog.verify().ok is True

    late = job(queued_at=ago(1000))
    finding = backlog.verify()
    assert (finding.ok, "video" in finding.reason) == (False, True)
    late.delete()
    assert backlog.verify().ok is True

    for seconds in (-1000, 1000):
        wrong = ago(seconds)
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr(timezone, "now", lambda wrong=wrong: wrong)
            assert "sampled" not in backlog.verify().reason

    QueueSample.objects.update(taken_at=ago(1000))
    finding = backlog.verify()
    assert (finding.ok, "sampled" in finding.reason) == (False, True)
    sampled(1)
    assert backlog.verify().ok is True

    os.killpg(workers["highmem"].pid, signal.SIGKILL)
    consumed = [queue for queue, worker in table().consumers.items() if worker == "highmem"]
    wait_until(lambda: all(name in backlog.verify().reason for name in consumed), "the missing consumers")
    start("highmem")
    wait_until(lambda: backlog.verify().ok, "the new consumers")


def test_verify_fails_while_a_job_waits_for_its_worker(broker, start, monkeypatch, alice):
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], target_seconds=1))
    waiting = jobs.create(VIDEO, owner_id=alice.pk, arguments={"source": "none"})
    wait_until(lambda: "oldest in video" in backlog.verify().reason, "the wait to be too long")
    (video,) = (each for each in rows() if each.queue.name == "video")
    assert (video.is_late, video.state["ready"]) == (True, 1)
    start("video")
    wait_until(lambda: Job.objects.get(pk=waiting.pk).is_final, "the job")
    assert "oldest in video" not in backlog.verify().reason


def test_the_page_has_a_row_for_each_queue_without_the_broker(settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    sampled(600, waiting=1)
    job(queued_at=ago(50))
    assert [each.queue.name for each in rows()] == list(table().queues)
    (video,) = (each for each in rows() if each.queue.name == "video")
    assert (video.state, video.flow, video.is_late) == (UNKNOWN, None, False)
    assert video.oldest_seconds >= 50


def test_verify_fails_while_a_canary_is_overdue():
    cache.set(canary_marks.KEY.format("default"), time.time() - 100)
    assert "default has waited 100 s of 30 s" in backlog.verify().reason


def test_verify_is_unknown_while_the_broker_is_away_and_asks_for_no_worker(settings):
    sampled(1)
    settings.BROKER_URL = "redis://:sesame@127.0.0.1:1/0"
    finding = backlog.verify()
    assert (finding.ok, "did not answer" in finding.reason, "sesame" in finding.reason) == (None, True, False)
    job(queued_at=ago(1000))  # it is late because of the broker
    finding = backlog.verify()
    assert (finding.ok, "add a" in finding.reason, finding.figure) == (None, False, None)


def test_retention_deletes_samples_after_thirty_days(monkeypatch):
    monkeypatch.setattr(queue_samples, "DELETE_ROWS", 2)
    sampled(29 * 86400)
    sampled(31 * 86400)
    deleted = [queue_samples.delete_old_samples() for _ in range(5)]
    assert (max(deleted), sum(deleted)) == (2, len(table().queues))
    assert QueueSample.objects.count() == len(table().queues)


def test_check_is_silent_for_the_shipped_files():
    assert backlog.check() == []


def test_check_fires_for_a_queue_without_a_target(monkeypatch):
    monkeypatch.setitem(table().queues, "video", Queue("video", target_seconds=0, tasks=()))
    (message,) = backlog.check()
    assert (message.id, "video" in message.msg) == ("practices.E801", True)


def test_check_fires_while_nobody_samples(monkeypatch):
    monkeypatch.setitem(current_app.conf, "leader_callbacks", {})
    (message,) = backlog.check()
    assert message.id == "practices.E802"
