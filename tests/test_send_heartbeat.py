"""A service outside rings when its address is no longer called: while nobody samples the queues."""

from datetime import timedelta

import pytest
from django.utils import timezone

from devtools.processes import wait_until
from workers.alarms import heartbeat
from workers.alarms.heartbeat import Heartbeat
from workers.models import QueueSample
from workers.queues import table

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outside(receiver, settings, monkeypatch):
    """The service's server. A ping is due at each call."""
    settings.HEARTBEAT_URL, settings.HEARTBEAT_SECONDS = f"{receiver.url}/ping/me?status=ok", 0
    monkeypatch.setattr(heartbeat, "RETRY_SECONDS", 0)
    return receiver


def sampled(seconds_ago: float) -> None:
    QueueSample.objects.all().delete()
    at = timezone.now() - timedelta(seconds=seconds_ago)
    QueueSample.objects.bulk_create(QueueSample(queue=name, taken_at=at) for name in table().queues)


def test_it_is_called_while_the_queues_are_sampled_and_not_otherwise(outside):
    Heartbeat().ping_if_due()
    sampled(100)
    Heartbeat().ping_if_due()
    assert outside.received == []
    sampled(10)
    Heartbeat().ping_if_due()
    assert [(each.method, each.path) for each in outside.received] == [("GET", "/ping/me?status=ok")]


def test_it_is_called_once_a_minute_and_again_soon_after_a_failure(outside, settings):
    settings.HEARTBEAT_SECONDS = 60
    sampled(1)
    outside.status = 500
    pings = Heartbeat()
    pings.ping_if_due()
    pings.ping_if_due()
    outside.status = 200
    for _ in range(3):
        pings.ping_if_due()
    assert len(outside.received) == 3


def test_an_address_that_nobody_serves_stops_nothing(settings, caplog):
    settings.HEARTBEAT_URL = "http://127.0.0.1:1/ping"
    sampled(1)
    Heartbeat().ping_if_due()
    assert "heartbeat_not_sent" in caplog.text


def test_a_beat_calls_it(outside, start, broker):
    sampled(1)  # as the leading beat does within half a minute
    start("beat", HEARTBEAT_URL=outside.url)
    wait_until(lambda: outside.received, "the first ping")
