"""Practice 1: what goes wrong in the broker is seen, on both brokers, and so is that it is well again."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from django.core.cache import cache
from kombu import Connection, Queue

from devtools.processes import wait_until
from tests import in_subprocess
from tests.outages import make_unreachable
from workers.brokers import state
from workers.brokers.declarations import DEAD_LETTER_QUEUE, QUEUE_TYPES, declarations
from workers.brokers.state import read_broker_state
from workers.practices import broker
from workers.queues import table

VIDEO = "workers.video.tasks.transcode_video"


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch):
    """Each look asks anew."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


@pytest.fixture
def valkey(settings) -> Iterator[redis.Redis]:
    """The broker of the tests, empty."""
    with redis.from_url(settings.BROKER_URL) as server:
        server.flushdb()
        yield server
        server.config_set("maxmemory-policy", "noeviction")
        server.config_set("maxmemory", 0)
        server.flushdb()


@pytest.fixture
def node(vhost, settings):
    """RabbitMQ is the broker; no queue is there yet."""
    settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = vhost.url, vhost.management
    return vhost


@pytest.fixture(params=["valkey", "node"])
def either(request, settings) -> dict[str, str]:
    """The environment of a process that works with the broker in question."""
    request.getfixturevalue(request.param)
    return {"BROKER_URL": settings.BROKER_URL, "BROKER_MANAGEMENT_URL": settings.BROKER_MANAGEMENT_URL}


def wait_until_it_holds(ok: bool | None, words: str = "") -> None:
    def as_expected() -> bool:
        finding = broker.verify()
        return finding.ok is ok and words in finding.reason

    wait_until(as_expected, f"{ok} and {words!r}, not {broker.verify()}")


def test_a_queue_without_a_reader_is_found_until_its_worker_is_up(either, start):
    in_subprocess.publish(VIDEO, "video", 2, **either)
    wait_until_it_holds(False, "2 messages in video, and nobody reads it. Is the video worker up?")
    amqp = either["BROKER_URL"].startswith("amqp")
    wait_until(
        lambda: bool(read_broker_state()["queues"]["video"]["size_bytes"]) is amqp, "bytes, which Valkey does not tell"
    )
    start("video", **either)
    wait_until_it_holds(True)


def test_a_queue_that_the_table_does_not_know_is_found_until_it_is_gone(either, settings):
    with Connection(settings.BROKER_URL) as connection:
        stray = Queue("urgnet", routing_key="urgnet")(connection.default_channel)
        connection.Producer().publish("to nobody", routing_key="urgnet", declare=[stray])
        wait_until_it_holds(False, "urgnet is no queue of ours: 1 messages")
        stray.purge()  # which is all on Valkey: an empty list is none
        stray.delete()
    wait_until_it_holds(True)


def test_celerys_own_queues_are_no_strays(node, settings):
    with Connection(settings.BROKER_URL) as connection:
        for name in ("celery_delayed_27", "default@host.celery.pidbox", DEAD_LETTER_QUEUE):
            Queue(name)(connection.default_channel).declare()
    wait_until(lambda: len(read_broker_state()["queues"]) == 3)
    wait_until_it_holds(True)


def test_a_broker_that_may_evict_is_found(valkey):
    assert broker.verify().ok is True
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    finding = broker.verify()
    assert (finding.ok, "allkeys-lru" in finding.reason) == (False, True)
    valkey.config_set("maxmemory-policy", "noeviction")
    assert broker.verify().ok is True


def test_a_valkey_that_is_nearly_full_is_found(valkey):
    valkey.config_set("maxmemory", valkey.info("memory")["used_memory"] * 10 // 9)
    finding = broker.verify()
    assert (finding.ok, "more than 80%" in finding.reason) == (False, True)
    valkey.config_set("maxmemory", valkey.info("memory")["used_memory"] * 10)
    assert broker.verify().ok is True


def test_a_disk_alarm_is_found_until_it_is_over(node):
    wait_until_it_holds(True)
    try:
        node.ctl("set_disk_free_limit", "100000GB")
        wait_until_it_holds(False, "disk space alarm")
    finally:
        node.ctl("set_disk_free_limit", "50MB")
    wait_until_it_holds(True)


def test_a_memory_alarm_is_found_until_it_is_over(node):
    wait_until_it_holds(True)
    try:
        node.ctl("set_vm_memory_high_watermark", "absolute", "40MB")
        wait_until_it_holds(False, "memory alarm")
        wait_until_it_holds(False, "more than 80%")
    finally:
        node.ctl("set_vm_memory_high_watermark", "0.4")
    wait_until_it_holds(True)


def test_a_worker_that_starts_gives_every_queue_its_limit(node, start, settings):
    with Connection(settings.BROKER_URL) as connection:
        for queue in declarations(amqp=True):
            queue(connection.default_channel).declare()
    wait_until_it_holds(False, "RabbitMQ does not limit urgent to 10000 messages")
    start("video", BROKER_URL=node.url, BROKER_MANAGEMENT_URL=node.management)
    wait_until_it_holds(True)


@pytest.mark.parametrize("queue_type", QUEUE_TYPES)
def test_a_full_queue_refuses_and_so_tells_its_publisher(node, settings, monkeypatch, queue_type):
    settings.QUEUE_TYPE = queue_type
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], max_messages=3))
    broker.prepare_queues()

    def is_full() -> bool:
        # A publish that is slower than its timeout fails too, as on a busy machine. So publish again.
        with pytest.raises(AssertionError, match="OperationalError"):
            in_subprocess.publish(VIDEO, "video", 5, BROKER_URL=node.url, QUEUE_TYPE=queue_type)
        return read_broker_state()["queues"]["video"]["ready"] in (3, 4)  # a quorum queue takes one too many

    wait_until(is_full)


def test_what_expires_on_rabbitmq_lies_with_the_dead_letters(node, settings):
    broker.prepare_queues()
    (video,) = (queue for queue in declarations(amqp=True) if queue.name == "video")
    with Connection(settings.BROKER_URL) as connection:
        connection.Producer().publish(
            "late", routing_key="video", declare=[video], exchange=video.exchange, expiration=0.1
        )
        channel = connection.default_channel
        wait_until(lambda: channel.queue_declare(DEAD_LETTER_QUEUE, passive=True).message_count == 1)
        assert channel.queue_declare("video", passive=True).message_count == 0


def test_all_processes_share_one_answer(valkey, monkeypatch):
    monkeypatch.setattr(state, "CACHE_SECONDS", 60)
    assert broker.verify().ok is True
    valkey.rpush("urgnet", "to nobody")
    assert broker.verify().ok is True
    cache.delete(state.CACHE_KEY)
    assert broker.verify().ok is False


def test_without_the_cache_each_look_asks_anew(valkey, settings, monkeypatch):
    monkeypatch.setattr(state, "CACHE_SECONDS", 60)
    make_unreachable(settings, "default")
    assert broker.verify().ok is True
    valkey.rpush("urgnet", "to nobody")
    assert broker.verify().ok is False


@pytest.mark.parametrize("url", ["redis://:sesame@127.0.0.1:1/0", "amqp://app:sesame@127.0.0.1:1//"])
def test_a_broker_that_is_away_is_unknown_with_words_and_without_its_password(settings, url):
    settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = url, ""
    if url.startswith("amqp"):
        settings.BROKER_MANAGEMENT_URL = "http://app:sesame@127.0.0.1:1"
    finding = broker.verify()
    assert (finding.ok, finding.summary) == (None, "unknown")
    assert "did not answer" in finding.reason
    assert "sesame" not in finding.reason


def test_a_login_that_rabbitmq_refuses_is_unknown_and_stays_secret(node, settings):
    settings.BROKER_MANAGEMENT_URL = node.management.replace("app:", "app:wrong")
    finding = broker.verify()
    assert finding.ok is None
    assert "refuses our login" in finding.reason
    assert "wrong" not in finding.reason
