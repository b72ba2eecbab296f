"""Each tab of the overview polls every five seconds: what that costs."""

from collections.abc import Iterator
from datetime import timedelta
from threading import active_count

import pytest
from django.db.backends.signals import connection_created
from django.utils import timezone

from mediaapp.operations.parts import read_parts
from workers import deadline
from workers.models import FindingSample, PracticeState
from workers.practices import registry

pytestmark = pytest.mark.django_db(transaction=True)
LIVE = "/operations/live/"


@pytest.fixture
def opened() -> Iterator[list[object]]:
    """The connections to the database that were opened since."""
    found: list[object] = []

    def add(connection: object, **_: object) -> None:
        found.append(connection)

    connection_created.connect(add)
    yield found
    connection_created.disconnect(add)


@pytest.fixture
def monitor() -> None:
    now = timezone.now()
    PracticeState.objects.bulk_create(
        PracticeState(number=practice.number, ok=True, since=now, measured_at=now) for practice in registry.PRACTICES
    )


def test_it_opens_one_connection_beside_that_of_the_request(as_stella, monitor, opened):
    as_stella.get(LIVE)
    opened.clear()
    assert as_stella.get(LIVE).status_code == 200
    assert len(opened) == 1


def test_it_draws_the_same_charts_for_half_a_minute(as_stella, monitor, monkeypatch):
    def failing_minutes() -> int:
        return len(as_stella.get(LIVE).context["board"].tiles[7].chart.failing)

    monkeypatch.setattr("mediaapp.operations.findings.CHARTS_SECONDS", 10**9)
    assert failing_minutes() == 0
    FindingSample.objects.create(number=8, taken_at=timezone.now() - timedelta(minutes=5), ok=False)
    assert failing_minutes() == 0
    monkeypatch.setattr("mediaapp.operations.findings.CHARTS_SECONDS", 1)
    assert failing_minutes() == 1


def test_the_parts_of_one_server_are_read_in_turn_and_each_fails_alone():
    def fail() -> None:
        raise ValueError

    threads = active_count()
    parts = read_parts({"a": fail, "threads": active_count}, {"b": lambda: 2})
    assert parts.pop("threads") <= threads + 2
    assert parts == {"a": None, "b": 2, "unread": {"a"}}


def test_what_was_read_before_the_deadline_is_shown(monkeypatch):
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 0.2)
    release = deadline.BoundedSemaphore()
    release.acquire()
    parts = read_parts({"quick": lambda: 1, "slow": release.acquire})
    release.release()
    assert parts == {"quick": 1, "slow": None, "unread": {"slow"}}
