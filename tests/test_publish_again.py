"""The sweep publishes what the click could not, and what the broker lost. No queue holds up another one."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from django.utils import timezone
from redis import Redis

from devtools.processes import wait_until
from tests import in_subprocess, outages
from workers import jobs
from workers.jobs import outbox
from workers.models import Job
from workers.practices import broker as broker_practice
from workers.queues import table
from workers.runtime import publishing

pytestmark = pytest.mark.django_db(transaction=True)
VIDEO, RESET = "workers.video.tasks.transcode_video", "workers.default.tasks.send_password_reset"
QUEUES = {VIDEO: "video", RESET: "urgent"}


def ago(seconds: float) -> timezone.datetime:
    return timezone.now() - timedelta(seconds=seconds)


def waiting(task: str = RESET, **fields) -> Job:
    return Job.objects.create(task=task, **{"queue": QUEUES[task], "queued_at": ago(60)} | fields)


def ids(broker: Redis, queue: str) -> list[str]:
    """Those of the jobs' messages."""
    return [json.loads(message)["headers"]["id"] for message in broker.lrange(queue, 0, -1) if message != b"{}"]


def limit_video(monkeypatch, max_messages: int) -> None:
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], max_messages=max_messages))


def test_two_thousand_refused_videos_hold_up_no_reset(alice, broker, monkeypatch):
    limit_video(monkeypatch, 1)
    broker.rpush("video", "{}")
    Job.objects.bulk_create(Job(task=VIDEO, queue="video", queued_at=ago(600)) for _ in range(2_000))
    reset = waiting()
    assert jobs.sweep() == 1
    assert ids(broker, "urgent") == [str(reset.pk)]
    assert broker.llen("video") == 1
    assert Job.objects.filter(queue="video", dispatched_at=None).count() == 2_000


def test_a_queue_that_rabbitmq_says_is_full_holds_up_no_reset(alice, vhost):
    """RabbitMQ refuses the second video by its policy."""
    in_subprocess.run(
        "from config.celery import app; from dataclasses import replace; from workers.queues import table; "
        "from workers.brokers.declarations import declare_queues; "
        "table().queues['video'] = replace(table().queues['video'], max_messages=1); declare_queues()",
        BROKER_URL=vhost.url,
        BROKER_MANAGEMENT_URL=vhost.management,
    )
    for _ in range(5):
        waiting(VIDEO, queued_at=ago(600))
    reset = waiting()
    output = in_subprocess.run("from workers import jobs; print(jobs.sweep())", BROKER_URL=vhost.url)
    assert "job_not_published queue=video" in output
    assert Job.objects.get(pk=reset.pk).dispatched_at is not None
    assert Job.objects.filter(queue="video", dispatched_at=None).exists()


def test_the_doctor_names_a_full_queue(broker, monkeypatch):
    limit_video(monkeypatch, 2)
    broker.rpush("video", "{}", "{}")
    assert "video is full with 2 messages" in broker_practice.verify().reason


def test_the_doctor_does_not_call_a_queue_full_that_has_room(broker, monkeypatch):
    limit_video(monkeypatch, 3)
    broker.rpush("video", "{}", "{}")
    assert "full" not in broker_practice.verify().reason


def test_the_sweep_does_not_let_a_young_job_wait_whose_worker_died(broker):
    """A job that nobody has started yet may be about to be published by its click."""
    started, new = waiting(queued_at=timezone.now(), attempt=1), waiting(queued_at=timezone.now())
    assert jobs.sweep() == 1
    assert [Job.objects.get(pk=job.pk).dispatched_at is None for job in (started, new)] == [False, True]


def test_the_sweep_publishes_the_most_impatient_queue_first(broker, monkeypatch):
    published: list[str] = []
    publish = publishing.publish
    monkeypatch.setattr(publishing, "publish", lambda *args: (published.append(args[2]), publish(*args)))
    waiting(VIDEO, queued_at=ago(600))
    waiting()
    assert jobs.sweep() == 2
    assert published == ["urgent", "video"]


def test_a_silent_broker_ends_a_sweep_early_and_keeps_it_from_no_queue(broker, caplog):
    for queue in table().queues:
        waiting(queue=queue)

    def queues_tried() -> set[str]:
        return {line.args[0] for line in caplog.records if line.msg.startswith("job_not_published")}

    with outages.silent_address() as address, outages.unreachable_broker(f"redis://{address}/0"):
        assert outbox.publish_due() == 0
        assert "urgent" in queues_tried() < table().queues.keys()
        wait_until(lambda: outbox.publish_due() or {"video", "maintenance"} <= queues_tried(), "the most patient ones")


def test_a_backlog_that_takes_long_holds_up_no_other_queue(broker, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_SECONDS", 2)  # one publish of a busy machine takes less
    Job.objects.bulk_create(Job(task=RESET, queue="urgent", queued_at=ago(60)) for _ in range(1_000))
    video = waiting(VIDEO)
    wait_until(lambda: outbox.publish_due() and Job.objects.get(pk=video.pk).dispatched_at, "the video")
    assert Job.objects.filter(queue="urgent", dispatched_at=None).exists()


def test_a_message_that_younger_ones_overtook_is_sent_again(broker):
    """In a queue that is never empty."""
    lost, behind = waiting(dispatched_at=ago(200)), waiting(dispatched_at=ago(80))
    broker.lpush("urgent", "{}")
    assert jobs.sweep() == 0
    waiting(state=Job.State.DONE, dispatched_at=ago(100), started_at=ago(90), finished_at=ago(80))
    assert jobs.sweep() == 1
    assert ids(broker, "urgent") == [str(lost.pk)]
    assert Job.objects.get(pk=behind.pk).dispatched_at < ago(70)


def test_a_message_that_waits_behind_others_is_not_sent_again(broker):
    """A neighbour in line, another queue and a job of yesterday are no evidence."""
    waiting(dispatched_at=ago(100))
    broker.lpush("urgent", "{}")
    waiting(state=Job.State.DONE, dispatched_at=ago(90), started_at=ago(80), finished_at=ago(70))
    waiting(VIDEO, state=Job.State.DONE, dispatched_at=ago(10), started_at=ago(9), finished_at=ago(8))
    waiting(state=Job.State.QUEUED, dispatched_at=ago(10), started_at=ago(9999))
    assert jobs.sweep() == 0


def test_a_publisher_does_not_stamp_a_job_that_was_given_back_meanwhile(alice, broker, monkeypatch):
    """A worker takes the message and gives the job back before the publisher writes `dispatched_at`."""
    job = waiting(owner=alice)
    publish = publishing.publish

    def publish_and_lose(*args: str) -> None:
        publish(*args)
        broker.flushdb()
        with jobs.working_on(str(job.pk)):
            raise jobs.RetryLater(60, "The mail server did not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "publish", publish_and_lose)
        jobs.publish(job)
    after = Job.objects.get(pk=job.pk)
    assert (after.state, after.attempt, after.dispatched_at) == (Job.State.QUEUED, 1, None)
    Job.objects.update(not_before=timezone.now())
    assert jobs.sweep() == 1


def test_no_row_is_stamped_whose_message_is_gone(alice, broker, start):
    """Beside six busy threads, a publisher stamps a row after a worker has given it back: no mail server answers."""
    is_over = Event()

    def keep_busy() -> None:
        while not is_over.is_set():
            sum(range(1000))

    start("default", EMAIL_URL="smtp://127.0.0.1:1")
    with ThreadPoolExecutor(6) as threads:
        try:
            for _ in range(6):
                threads.submit(keep_busy)
            for _ in range(8):
                jobs.create(RESET, owner_id=None, arguments={"user_id": alice.pk})
        finally:
            is_over.set()
    given_back = Job.objects.filter(state=Job.State.QUEUED, attempt=1)
    wait_until(lambda: given_back.count() == 8, "all to be given back")
    assert not given_back.filter(dispatched_at__isnull=False).exists()
