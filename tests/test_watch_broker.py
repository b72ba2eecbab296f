"""Practice 1: verify() fails while the broker has a fault, and holds again after it, on both brokers."""

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
from workers.brokers.declarations import DEAD_LETTER_QUEUE, QUEUE_TYPES, declarations, define_policy
from workers.brokers.state import read_broker_state
from workers.practices import broker
from workers.queues import table

VIDEO = "workers.video.tasks.transcode_video"


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each verify() asks the broker."""
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
def broker_environment(request, settings) -> dict[str, str]:
    """The environment of a process, for each of the two brokers."""
    request.getfixturevalue(request.param)
    return {"BROKER_URL": settings.BROKER_URL, "BROKER_MANAGEMENT_URL": settings.BROKER_MANAGEMENT_URL}


def wait_for_finding(ok: bool | None, reason: str = "") -> None:
    """reason: a part of it."""

    def is_found() -> bool:
        finding = broker.verify()
        return finding.ok is ok and reason in finding.reason

    wait_until(is_found, f"{ok} and {reason!r}, not {broker.verify()}")


def test_verify_fails_while_a_queue_with_messages_has_no_consumer(broker_environment, start):
    in_subprocess.publish(VIDEO, "video", 2, **broker_environment)
    wait_for_finding(False, "video has messages (2) and no consumer")
    amqp = broker_environment["BROKER_URL"].startswith("amqp")
    wait_until(
        lambda: bool(read_broker_state()["queues"]["video"]["size_bytes"]) is amqp,
        "the size, which Valkey does not tell",
    )
    start("video", **broker_environment)
    wait_for_finding(True)


def test_verify_fails_while_a_queue_is_not_in_the_table(broker_environment, settings):
    with Connection(settings.BROKER_URL) as connection:
        stray = Queue("urgnet", routing_key="urgnet")(connection.default_channel)
        connection.Producer().publish("to nobody", routing_key="urgnet", declare=[stray])
        wait_for_finding(False, "urgnet")
        stray.purge()  # on Valkey an empty queue does not exist
        stray.delete()
    wait_for_finding(True)


def test_verify_ignores_celerys_own_queues(node, settings):
    with Connection(settings.BROKER_URL) as connection:
        for name in ("celery_delayed_27", "default@host.celery.pidbox", DEAD_LETTER_QUEUE):
            Queue(name)(connection.default_channel).declare()
    wait_until(lambda: len(read_broker_state()["queues"]) == 3)
    wait_for_finding(True)


def test_verify_fails_while_the_broker_may_evict(valkey):
    assert broker.verify().ok is True
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    finding = broker.verify()
    assert (finding.ok, "allkeys-lru" in finding.reason) == (False, True)
    valkey.config_set("maxmemory-policy", "noeviction")
    assert broker.verify().ok is True


def test_verify_fails_while_valkey_is_nearly_full(valkey):
    valkey.config_set("maxmemory", valkey.info("memory")["used_memory"] * 10 // 9)
    finding = broker.verify()
    assert (finding.ok, "more than 80%" in finding.reason) == (False, True)
    valkey.config_set("maxmemory", valkey.info("memory")["used_memory"] * 10)
    assert broker.verify().ok is True


def test_verify_fails_during_a_disk_alarm(node):
    wait_for_finding(True)
    try:
        node.ctl("set_disk_free_limit", "100000GB")
        wait_for_finding(False, "disk space alarm")
    finally:
        node.ctl("set_disk_free_limit", "50MB")
    wait_for_finding(True)


def test_verify_fails_during_a_memory_alarm(node):
    wait_for_finding(True)
    try:
        node.ctl("set_vm_memory_high_watermark", "absolute", "40MB")
        wait_for_finding(False, "memory alarm")
        wait_for_finding(False, "more than 80%")
    finally:
        node.ctl("set_vm_memory_high_watermark", "0.4")
    wait_for_finding(True)


def test_a_worker_sets_the_limit_of_each_queue_at_its_start(node, start, settings):
    with Connection(settings.BROKER_URL) as connection:
        for queue in declarations(amqp=True):
            queue(connection.default_channel).declare()
    wait_for_finding(False, "limit urgent to 10000")
    start("video", BROKER_URL=node.url, BROKER_MANAGEMENT_URL=node.management)
    wait_for_finding(True)


def test_rabbitmq_waits_for_the_longest_task_of_a_queue_where_it_knows_a_timeout_of_queues(node):
    """Else it ends the worker of a task of half an hour, and begins the task again."""
    broker.prepare_queues()
    release = node.ask("GET", "/api/overview")["rabbitmq_version"]
    is_known = tuple(map(int, release.split(".")[:2])) >= (3, 12)
    policies = {policy["name"]: policy["definition"] for policy in node.ask("GET", "/api/policies")}
    assert policies["video"].get("consumer-timeout") == (2 * 9060 * 1000 if is_known else None)
    assert define_policy(table().queues["video"], (4, 0))["consumer-timeout"] == 2 * 9060 * 1000


@pytest.mark.parametrize("queue_type", QUEUE_TYPES)
def test_a_publish_to_a_full_queue_fails(node, settings, monkeypatch, queue_type):
    settings.QUEUE_TYPE = queue_type
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], max_messages=3))
    broker.prepare_queues()

    def is_full() -> bool:
        # A publish that is slower than its timeout fails too, as on a busy machine. So publish again.
        with pytest.raises(AssertionError, match="OperationalError"):
            in_subprocess.publish(VIDEO, "video", 5, BROKER_URL=node.url, QUEUE_TYPE=queue_type)
        return read_broker_state()["queues"]["video"]["ready"] in (3, 4)  # a quorum queue takes one too many

    wait_until(is_full)


def test_an_expired_message_goes_to_the_dead_letter_queue(node, settings):
    broker.prepare_queues()
    (video,) = (queue for queue in declarations(amqp=True) if queue.name == "video")
    with Connection(settings.BROKER_URL) as connection:
        connection.Producer().publish(
            "late", routing_key="video", declare=[video], exchange=video.exchange, expiration=0.1
        )
        channel = connection.default_channel
        wait_until(lambda: channel.queue_declare(DEAD_LETTER_QUEUE, passive=True).message_count == 1)
        assert channel.queue_declare("video", passive=True).message_count == 0


def test_processes_share_the_state_of_the_broker_in_the_cache(valkey, monkeypatch):
    monkeypatch.setattr(state, "CACHE_SECONDS", 60)
    assert broker.verify().ok is True
    valkey.rpush("urgnet", "to nobody")
    assert broker.verify().ok is True
    cache.delete(state.CACHE_KEY)
    assert broker.verify().ok is False


def test_without_the_cache_each_verify_asks_the_broker(valkey, settings, monkeypatch):
    monkeypatch.setattr(state, "CACHE_SECONDS", 60)
    make_unreachable(settings, "default")
    assert broker.verify().ok is True
    valkey.rpush("urgnet", "to nobody")
    assert broker.verify().ok is False


@pytest.mark.parametrize("url", ["redis://:sesame@127.0.0.1:1/0", "amqp://app:sesame@127.0.0.1:1//"])
def test_verify_is_unknown_while_the_broker_is_away_and_hides_its_password(settings, url):
    settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = url, ""
    if url.startswith("amqp"):
        settings.BROKER_MANAGEMENT_URL = "http://app:sesame@127.0.0.1:1"
    finding = broker.verify()
    assert (finding.ok, finding.summary) == (None, "unknown")
    assert "did not answer" in finding.reason
    assert "sesame" not in finding.reason


def test_verify_is_unknown_for_a_refused_login_and_hides_it(node, settings):
    settings.BROKER_MANAGEMENT_URL = node.management.replace("app:", "app:wrong")
    finding = broker.verify()
    assert finding.ok is None
    assert "refuses our login" in finding.reason
    assert "wrong" not in finding.reason
