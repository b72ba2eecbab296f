"""The monitor goes on while a server that it watches is away, and after its own database was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from devtools.processes import DEADLINE_SECONDS, wait_until
from tests.outages import running_server
from workers.models import Incident, PracticeState
from workers.practices.registry import PRACTICES

pytestmark = pytest.mark.django_db(transaction=True)
AWAY = "redis://127.0.0.1:1/0"
QUICK = {"MONITOR_SECONDS": "0.5"}


@pytest.fixture
def measured_since_now() -> Callable[[], bool]:
    """Whether all nine were measured after the test asked for this fixture."""
    began = timezone.now()
    return lambda: PracticeState.objects.filter(measured_at__gt=began).count() == len(PRACTICES)


def reasons() -> dict[int, str]:
    return dict(Incident.objects.filter(ended_at=None).values_list("number", "reason"))


def test_a_beat_measures_while_broker_cache_and_locks_are_away_and_ends_at_once(start, measured_since_now):
    """Without the locks no beat leads; the monitor does not ask for the lead."""
    beat = start("beat", BROKER_URL=AWAY, LOCKS_URL=f"{AWAY}?locks", REDIS_URL=f"{AWAY}?cache", **QUICK)
    wait_until(measured_since_now, "a round")
    wait_until(lambda: {1, 2, 5, 8} <= reasons().keys(), "what cannot be measured")
    assert "did not answer" in reasons()[1]
    assert "did not answer" in reasons()[2]
    beat.terminate()
    assert beat.wait(DEADLINE_SECONDS) == 0


def test_a_beat_measures_while_the_servers_are_frozen(start, broker, measured_since_now):
    """They keep their connections and answer nothing; the broker's has the locks too."""
    start("beat", **QUICK)
    wait_until(measured_since_now, "a round")
    frozen = [running_server("broker"), running_server("cache")]
    began = timezone.now()
    for server in frozen:
        server.suspend()
    try:
        wait_until(lambda: Incident.objects.filter(number=2, seen_at__gt=began).exists(), "a round")
    finally:
        for server in frozen:
            server.resume()


def test_a_beat_measures_again_after_its_database_was_away(start, broker, tmp_path: Path):
    """A server of the tests' own cannot stop: its connections are cut, and it refuses new ones for a while."""
    start("beat", **QUICK)
    log = tmp_path / "beat0.log"
    wait_until(PracticeState.objects.exists, "a round")
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        try:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [name],
            )
            wait_until(lambda: "monitor_database_away" in log.read_text(), "a round without the database")
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    again = timezone.now()
    wait_until(lambda: PracticeState.objects.filter(measured_at__gt=again).count() == len(PRACTICES), "a round again")
