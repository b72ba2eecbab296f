"""Practice 1: each rule of check() fires for the configuration that it forbids, and is silent for the shipped one."""

import pytest
from celery import current_app

from tests import in_subprocess
from workers.brokers.rabbitmq import management_url
from workers.practices import broker
from workers.queues import Queue, table


@pytest.mark.parametrize(
    ("broker_url", "expected"),
    [
        ("amqp://app:p%40ss@rabbit:5672//", "http://app:p%40ss@rabbit:15672"),
        ("amqps://app:secret@cow.rmq.cloudamqp.com/vhost", "https://app:secret@cow.rmq.cloudamqp.com"),
    ],
)
def test_the_management_api_is_on_the_brokers_host_by_default(broker_url, expected):
    assert management_url(broker_url) == expected


@pytest.mark.parametrize("url", ["redis://:secret@broker:6379/0", "amqp://app:secret@rabbit//"])
def test_check_is_silent_for_the_shipped_files(url):
    code = "from workers.practices import broker; print(broker.check())"
    given = {"BROKER_URL": url, "DATABASE_URL": "postgres://nobody/none"}
    assert in_subprocess.run(code, patient=False, **given).strip() == "[]"


def test_check_fires_where_broker_and_cache_are_one_server(settings):
    settings.REDIS_URL = settings.BROKER_URL.replace("/0", "/1")
    assert [message.id for message in broker.check()] == ["practices.E101"]


@pytest.mark.parametrize("name", broker.REDIS_TIMEOUTS)
def test_check_fires_for_a_publish_without_a_timeout(monkeypatch, name):
    monkeypatch.setitem(broker.SHORT_TIMEOUTS, name, None)
    (message,) = broker.check()
    assert (message.id, name in message.msg) == ("practices.E102", True)


@pytest.mark.parametrize("name", [*broker.AMQP_TIMEOUTS, "confirm_publish"])
def test_check_fires_for_a_rabbitmq_publish_without_a_timeout_or_a_confirm(settings, monkeypatch, name):
    settings.BROKER_URL = "amqp://app:secret@rabbit//"
    monkeypatch.setitem(current_app.conf.broker_transport_options, "confirm_publish", True)
    assert broker.check() == []
    monkeypatch.setitem(broker.SHORT_TIMEOUTS, name, None)
    (message,) = broker.check()
    assert (message.id, name in message.msg) == ("practices.E102", True)


def test_check_fires_for_a_queue_without_a_limit_or_a_reason(monkeypatch):
    monkeypatch.setitem(table().queues, "video", Queue("video", 600, ()))
    (message,) = broker.check()
    assert (message.id, "video" in message.msg) == ("practices.E103", True)
    monkeypatch.setitem(table().queues, "video", Queue("video", 600, (), max_messages="a reason"))
    assert broker.check() == []


@pytest.mark.parametrize(
    ("url", "queue_type", "expected"),
    [
        ("amqp://app:secret@rabbit//", "", []),
        ("amqp://app:secret@rabbit//", "quorum", []),
        ("amqp://app:secret@rabbit//", "classic", []),
        ("amqp://app:secret@rabbit//", "qourum", ["practices.E104"]),
        ("redis://broker:6379/0", "", []),
        ("redis://broker:6379/0", "quorum", ["practices.E104"]),
    ],
)
def test_check_fires_for_a_queue_type_that_the_broker_does_not_have(settings, monkeypatch, url, queue_type, expected):
    monkeypatch.setitem(current_app.conf.broker_transport_options, "confirm_publish", True)
    settings.BROKER_URL, settings.QUEUE_TYPE = url, queue_type
    assert [message.id for message in broker.check()] == expected
