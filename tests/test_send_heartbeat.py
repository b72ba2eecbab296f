"""A service outside rings when its address is no longer called: while nobody samples the queues, or nobody measures."""

from datetime import timedelta

import pytest
from django.utils import timezone

from devtools.processes import wait_until
from workers.alarms import heartbeat
from workers.alarms.heartbeat import OutsideHeartbeat
from workers.models import PracticeState, QueueSample
from workers.practices.registry import PRACTICES
from workers.queues import table
from workers.telemetry.queue_samples import store_samples

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


def measured(seconds_ago: float) -> None:
    PracticeState.objects.all().delete()
    at = timezone.now() - timedelta(seconds=seconds_ago)
    PracticeState.objects.bulk_create(PracticeState(number=each.number, since=at, measured_at=at) for each in PRACTICES)


def test_it_is_called_while_the_queues_are_sampled_and_not_otherwise(outside):
    measured(1)
    OutsideHeartbeat().ping_if_due()
    sampled(100)
    OutsideHeartbeat().ping_if_due()
    assert outside.received == []
    sampled(10)
    OutsideHeartbeat().ping_if_due()
    assert [(each.method, each.path) for each in outside.received] == [("GET", "/ping/me?status=ok")]


def test_it_is_called_while_the_practices_are_measured_and_not_otherwise(outside):
    sampled(1)
    OutsideHeartbeat().ping_if_due()
    measured(100)
    PracticeState.objects.filter(number=1).update(measured_at=timezone.now())  # a claim alone is no measurement
    OutsideHeartbeat().ping_if_due()
    assert outside.received == []
    measured(10)
    OutsideHeartbeat().ping_if_due()
    assert len(outside.received) == 1


def test_a_time_in_the_future_is_no_sign_of_life(outside):
    measured(1)
    sampled(-3600)
    OutsideHeartbeat().ping_if_due()
    assert outside.received == []


@pytest.mark.parametrize("minutes", [2, -2])
def test_it_is_called_although_the_clock_of_the_leading_beat_is_wrong(outside, monkeypatch, minutes):
    measured(1)
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(minutes=minutes))
    store_samples({})
    OutsideHeartbeat().ping_if_due()
    assert len(outside.received) == 1


def test_what_another_release_measured_withholds_no_call(outside):
    """A rollback leaves the row of a practice that it does not have."""
    long_ago = timezone.now() - timedelta(days=1)
    measured(1)
    sampled(1)
    PracticeState.objects.create(number=len(PRACTICES) + 1, since=long_ago, measured_at=long_ago)
    OutsideHeartbeat().ping_if_due()
    assert len(outside.received) == 1


def test_it_is_called_once_a_minute_and_again_soon_after_a_failure(outside, settings):
    settings.HEARTBEAT_SECONDS = 60
    measured(1)
    sampled(1)
    outside.status = 500
    pings = OutsideHeartbeat()
    pings.ping_if_due()
    pings.ping_if_due()
    outside.status = 200
    for _ in range(3):
        pings.ping_if_due()
    assert len(outside.received) == 3


def test_an_address_that_nobody_serves_stops_nothing(settings, caplog):
    settings.HEARTBEAT_URL = "http://127.0.0.1:1/ping"
    measured(1)
    sampled(1)
    OutsideHeartbeat().ping_if_due()
    assert "heartbeat_not_sent" in caplog.text


def test_a_beat_calls_it(outside, start, broker):
    measured(1)
    sampled(1)  # as the leading beat does within half a minute
    start("beat", HEARTBEAT_URL=outside.url)
    wait_until(lambda: outside.received, "the first ping")
