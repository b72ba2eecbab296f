"""A job is published at once, or later by the sweep if the broker was away. No request waits for a broker."""

import json
import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import psutil
import pytest
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu import Connection, pools
from redis import Redis

from mediaapp.models import User
from tests import in_subprocess
from workers import jobs
from workers.brokers import producers
from workers.brokers.connection import SHORT_TIMEOUTS
from workers.models import Job
from workers.queues import table

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "workers.video.tasks.transcode_video"
AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def broker() -> Iterator[Redis]:
    with Redis.from_url(settings.BROKER_URL) as redis:
        redis.flushdb()
        yield redis


@pytest.fixture
def use_broker(monkeypatch):
    """Points publishing at another broker, with the limits that it has for its own."""

    def use(url: str) -> None:
        other = current_app.connection_for_write(url, connect_timeout=0.5, transport_options=SHORT_TIMEOUTS)
        monkeypatch.setattr(producers, "connection", lambda: other)

    return use


def video_job(owner: User | None) -> Job:
    """A job of nobody takes no turns."""
    return jobs.create(TASK, owner_id=owner and owner.pk, arguments={"source": "uploads/secret-name"})


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def messages(broker: Redis, queue: str = "video") -> list[dict]:
    return [json.loads(message) for message in broker.lrange(queue, 0, -1)]


def test_the_message_carries_the_jobs_id_and_nothing_else(alice, broker):
    job = video_job(alice)
    (message,) = messages(broker)
    args, kwargs, _ = json.loads(b64decode(message["body"]))
    assert (args, kwargs) == ([str(job.id)], {})
    assert message["headers"]["id"] == str(job.id)
    assert "secret-name" not in b64decode(message["body"]).decode()
    assert read(job).dispatched_at is not None


def test_a_job_is_published_after_the_commit_and_not_before(alice, broker):
    with transaction.atomic():
        video_job(alice)
        assert messages(broker) == []
    assert len(messages(broker)) == 1


def test_nothing_is_published_for_a_job_that_was_rolled_back(alice, broker):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        video_job(alice)
        raise ZeroDivisionError
    assert messages(broker) == []
    assert Job.objects.count() == 0


def test_a_job_that_the_broker_did_not_take_is_published_by_the_sweep(alice, broker, use_broker):
    use_broker(AWAY)
    job = video_job(alice)
    assert read(job).dispatched_at is None
    assert jobs.sweep() == 0
    use_broker(settings.BROKER_URL)
    Job.objects.update(queued_at=timezone.now() - timezone.timedelta(seconds=10))
    assert jobs.sweep() == 1
    assert len(messages(broker)) == 1
    assert read(job).dispatched_at is not None


def test_the_sweep_skips_a_job_that_is_being_published(alice, broker):
    with transaction.atomic():
        job = Job.objects.create(task=TASK, queue="video", owner=alice, queued_at=timezone.now())
    assert jobs.sweep() == 0
    assert read(job).dispatched_at is None


def test_the_sweep_does_not_publish_a_published_job_again(alice, broker):
    video_job(alice)
    Job.objects.update(queued_at=timezone.now() - timezone.timedelta(minutes=10))
    assert jobs.sweep() == 0
    assert len(messages(broker)) == 1


def test_the_sweep_publishes_a_job_again_whose_message_the_broker_lost(alice, broker):
    job = video_job(alice)
    broker.flushdb()
    assert jobs.sweep() == 0  # published a moment ago: a worker may hold its message
    ago = timezone.now() - timezone.timedelta(minutes=2)
    Job.objects.update(queued_at=ago, dispatched_at=ago)
    assert jobs.sweep() == 1
    assert messages(broker)[0]["headers"]["id"] == str(job.id)


def test_the_sweep_skips_jobs_whose_messages_wait_in_their_queue(db, broker):
    for _ in range(3):
        video_job(None)
    Job.objects.update(dispatched_at=timezone.now() - timezone.timedelta(hours=1))
    assert jobs.sweep() == 0
    assert len(messages(broker)) == 3


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in accepted:
        connection.close()


@pytest.fixture
def packet_dropping_port() -> Iterator[int]:
    """A port whose backlog is full: the kernel drops the packets of new clients, as a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("port", ["silent_port", "packet_dropping_port"])
def test_publishing_to_a_silent_broker_fails_within_the_timeouts(alice, use_broker, request, scheme, port, monkeypatch):
    """A socket's timeout bounds each wait."""
    limits: list[float | None] = []
    settimeout = socket.socket.settimeout
    monkeypatch.setattr(
        socket.socket, "settimeout", lambda self, limit: (limits.append(limit), settimeout(self, limit))
    )
    use_broker(f"{scheme}://127.0.0.1:{request.getfixturevalue(port)}//")
    job = video_job(alice)
    assert read(job).dispatched_at is None
    assert limits
    assert max(limit for limit in limits if limit is not None) <= 1


FALL_SILENT = """
first, second = Job.objects.all()
while not jobs.publish(first):
    time.sleep(0.1)
node = psutil.Process({node})
node.suspend()
while node.status() != "stopped":  # on a busy machine its threads may answer once more
    time.sleep(0.01)
print(jobs.publish(second))
"""


def test_a_broker_that_falls_silent_counts_as_away_and_the_log_says_so(alice, vhost):
    for _ in range(2):
        Job.objects.create(task=TASK, queue="video", owner=alice, queued_at=timezone.now())
    port = urlsplit(vhost.url).port
    (node,) = {each.pid for each in psutil.net_connections() if each.laddr[1:] == (port,) and each.status == "LISTEN"}
    code = "import time, psutil; from workers import jobs; from workers.models import Job; "
    code += f"exec({FALL_SILENT.format(node=node)!r})"
    try:
        output = in_subprocess.run(code, patient=False, BROKER_URL=vhost.url)
    finally:
        psutil.Process(node).resume()
    assert output.endswith("False\n")
    assert "TimeoutError" in output


def test_a_publish_for_which_no_connection_is_free_counts_as_broker_away(
    alice, broker, use_broker, monkeypatch, caplog
):
    monkeypatch.setattr(producers, "POOL_WAIT_SECONDS", 0.1)
    use_broker(settings.BROKER_URL)
    pool = pools.producers[producers.connection()]
    taken = [pool.acquire(block=True) for _ in range(pool.limit)]
    job = Job.objects.create(task=TASK, queue="video", owner=alice, queued_at=timezone.now())
    assert not jobs.publish(job)
    assert "other publishes" in caplog.text
    for producer in taken:
        producer.release()
    assert jobs.publish(job)


def test_a_full_queue_takes_no_more_until_there_is_room(db, broker, monkeypatch):
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], max_messages=2))
    waiting = [video_job(None) for _ in range(3)]
    assert [read(job).dispatched_at is None for job in waiting] == [False, False, True]
    Job.objects.update(queued_at=timezone.now() - timezone.timedelta(seconds=10))
    assert jobs.sweep() == 0
    broker.rpop("video")
    assert jobs.sweep() == 1
    assert len(messages(broker)) == 2


def test_a_full_queue_does_not_stop_another_one(alice, broker, monkeypatch):
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], max_messages=1))
    video_job(alice)
    jobs.create("workers.default.tasks.send_password_reset", owner_id=None, arguments={})
    assert len(messages(broker, "urgent")) == 1


def test_a_queue_that_exists_with_other_arguments_counts_as_broker_away(alice, vhost):
    with Connection(vhost.url) as connection:
        connection.default_channel.queue_declare("video", durable=True)
    Job.objects.create(task=TASK, queue="video", owner=alice, queued_at=timezone.now())
    code = "from workers import jobs; from workers.models import Job; print(jobs.publish(Job.objects.get()))"
    output = in_subprocess.run(code, BROKER_URL=vhost.url)
    assert output.endswith("False\n")
    assert "PRECONDITION_FAILED" in output


def test_the_password_of_the_broker_is_in_no_log(alice, use_broker, caplog):
    use_broker("redis://:sesame@127.0.0.1:1/0")
    video_job(alice)
    assert "job_not_published" in caplog.text
    assert "sesame" not in caplog.text
    assert urlsplit(settings.BROKER_URL).password not in caplog.text
