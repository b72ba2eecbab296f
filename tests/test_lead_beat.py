"""Two beats send nothing twice, and the second takes over from a leader that is killed, stopped or frozen."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from subprocess import Popen

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks
from redis import Redis

from devtools.processes import DEADLINE_SECONDS, wait_until
from tests.conftest import signed_in
from tests.faulty_tasks import lines
from workers.practices import locks
from workers.practices.recurring import HEARTBEAT
from workers.telemetry.held_locks import held_locks

pytestmark = pytest.mark.django_db(transaction=True)
SECONDLY, HOURLY = "workers.default.tasks.sweep_jobs", "workers.default.tasks.collect_runs"
OLDER = {"ENTRY_OF_THE_NEXT_RELEASE": "every second"}  # the schedule of a release that lacks it
LONG_LEASE = 20  # seconds, where nobody is to take over, on a busy machine either


@pytest.fixture
def senders(broker: Redis) -> Callable[[str], list[int]]:
    """Returns the pids of the beats that sent a task, in order. It removes the messages, which beat waits for."""
    taken: list[dict[str, str]] = []

    def read(task: str = SECONDLY) -> list[int]:
        while message := broker.rpop("default"):
            taken.append(json.loads(message)["headers"])
        return [int(each["origin"].removeprefix("gen").partition("@")[0]) for each in taken if each["task"] == task]

    return read


@pytest.fixture
def start_beat(start) -> Callable[..., Popen]:
    return lambda **variables: start("beat", app="tests.fast_app", **variables)


@pytest.fixture
def as_root(stella) -> Client:
    stella.is_superuser = True
    stella.save()
    return signed_in(stella)


def make_overdue() -> None:
    """Makes the hourly task look as if another beat had sent it two hours ago and then died."""
    hour, _ = IntervalSchedule.objects.get_or_create(every=3600, period="seconds")
    sent = {"task": HOURLY, "interval": hour, "last_run_at": timezone.now() - timedelta(hours=2)}
    PeriodicTask.objects.update_or_create(name="every hour", defaults=sent)


def waits_for_a_table(cursor) -> bool:
    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
    return cursor.fetchone()[0] > 0


@contextmanager
def hanging_tick() -> Iterator[CursorWrapper]:
    """The leader's look at the schedule waits until the end of the block."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE django_celery_beat_periodictasks")
        wait_until(lambda: waits_for_a_table(cursor), "its next look at the schedule")
        yield cursor


@pytest.fixture
def beats(request, start_beat, senders) -> tuple[Popen, Popen]:
    """The leader, then the beat that waits. Both ran, with a task overdue, when the lock became free.

    Its parameter: the seconds of their lease, else 6. A leader that stands still for so long is replaced.
    """
    lease = str(getattr(request, "param", 6))
    with locks.exclusive("beat", lease=DEADLINE_SECONDS):
        pair = [start_beat(BEAT_LEASE=lease) for _ in range(2)]
        make_overdue()
        PeriodicTasks.update_changed()  # as a change in the admin does
    wait_until(lambda: len(senders()) >= 2, "the leader")
    pair.sort(key=lambda beat: beat.pid != senders()[0])
    return pair[0], pair[1]


def test_the_other_beat_takes_over_from_a_frozen_and_from_a_killed_leader(beats, senders):
    first, second = beats
    first.send_signal(signal.SIGSTOP)
    wait_until(lambda: second.pid in senders(), "the second one to lead")
    first.send_signal(signal.SIGCONT)
    wait_until(lambda: senders().count(second.pid) >= 3, "three more")
    second.kill()
    wait_until(lambda: senders()[-1] == first.pid, "the first one to lead again")
    assert [pid for pid, _ in groupby(senders())] == [first.pid, second.pid, first.pid]
    assert senders(HOURLY) == [first.pid]


@pytest.mark.parametrize("beats", [LONG_LEASE], indirect=True)
def test_the_leader_alone_runs_its_callbacks_and_has_a_heartbeat(beats):
    leader, other = beats
    wait_until(lambda: lines().count(f"sample of {leader.pid}") >= 2, "two samples")
    assert lines().count(f"failure of {leader.pid}") >= 2
    assert not any(str(other.pid) in line for line in lines())
    assert cache.get(HEARTBEAT)["beat"].endswith(f" {leader.pid}")
    assert 0 < cache.ttl(HEARTBEAT) <= 60


def test_a_beat_that_takes_over_sends_what_is_due_by_the_database(start_beat, senders):
    with locks.exclusive("beat", lease=DEADLINE_SECONDS):
        beat = start_beat()
        make_overdue()
    wait_until(lambda: senders(HOURLY) == [beat.pid], "the overdue task")


def test_a_stopped_leader_releases_the_lock(start_beat):
    beat = start_beat()
    wait_until(lambda: cache.get(HEARTBEAT), "the leader")
    assert [lock.holder.endswith(f" {beat.pid}") for lock in held_locks()] == [True]
    beat.terminate()
    assert beat.wait(DEADLINE_SECONDS) == 0
    assert not locks.is_held("beat")


def test_a_leader_that_is_stopped_during_a_query_ends_too(start_beat):
    beat = start_beat()
    wait_until(lambda: cache.get(HEARTBEAT), "the leader")
    with hanging_tick() as cursor:
        beat.terminate()
        wait_until(lambda: not waits_for_a_table(cursor), "the end of the query")
    assert beat.wait(DEADLINE_SECONDS) == 0
    assert not locks.is_held("beat")


@pytest.mark.parametrize("beats", [LONG_LEASE], indirect=True)
def test_a_leader_whose_tick_takes_longer_than_its_lease_leads_on(beats):
    leader, _ = beats
    with hanging_tick():
        time.sleep(LONG_LEASE + 1)
        assert [lock.holder.endswith(f" {leader.pid}") for lock in held_locks()] == [True]


def test_a_leader_whose_tick_hangs_loses_the_lead(start_beat):
    start_beat(MAX_TICK_SECONDS="1")
    wait_until(lambda: cache.get(HEARTBEAT), "the leader")
    with hanging_tick():
        wait_until(lambda: not locks.is_held("beat"), "the end of its lease")


def test_nobody_leads_while_the_server_of_the_locks_is_away(start, senders, tmp_path: Path):
    beat = start("beat", app="tests.fast_app", LOCKS_URL="redis://127.0.0.1:1/0")
    log = tmp_path / "beat0.log"
    wait_until(lambda: log.read_text().count("beat_lock_unavailable") >= 2, "two ticks")
    assert senders() == []
    assert beat.poll() is None


def is_enabled() -> bool | None:
    """None if the entry is not in the database."""
    return PeriodicTask.objects.filter(task=SECONDLY).values_list("enabled", flat=True).first()


def test_an_entry_runs_again_after_a_rollback_and_a_roll_forward(start_beat, senders):
    newer = start_beat()
    wait_until(lambda: newer.pid in senders(), "the entry of the newer release")
    newer.terminate()
    older = start_beat(**OLDER)
    wait_until(lambda: is_enabled() is False, "the older release to disable what it lacks")
    older.terminate()
    again = start_beat()
    wait_until(lambda: again.pid in senders(), "the entry to run again")
    assert is_enabled() is True


def test_a_beat_of_an_older_release_disables_nothing_while_it_waits(start_beat, senders):
    newer = start_beat(BEAT_LEASE=str(LONG_LEASE))
    wait_until(lambda: newer.pid in senders(), "the entry of the newer release")
    older = start_beat(BEAT_LEASE=str(LONG_LEASE), **OLDER)
    sent = len(senders())
    wait_until(lambda: len(senders()) >= sent + 3, "three more")
    assert (is_enabled(), older.poll()) == (True, None)


@pytest.mark.parametrize("action", ["disable_tasks", "delete_selected"])
def test_an_entry_that_a_person_disables_or_deletes_in_the_admin_runs_again(start_beat, senders, as_root, action):
    beat = start_beat()
    wait_until(lambda: beat.pid in senders(), "the entry")
    row = PeriodicTask.objects.get(task=SECONDLY)
    clicked = {"action": action, "_selected_action": row.pk, "post": "yes"}
    page = as_root.post("/admin/django_celery_beat/periodictask/", clicked)
    assert page.status_code == 302
    wait_until(is_enabled, "the leader to enable or write it")
    sent = len(senders())
    wait_until(lambda: len(senders()) >= sent + 3, "the entry to run again")


def test_an_entry_that_a_person_disabled_while_no_beat_ran_runs_again(start_beat, senders):
    first = start_beat()
    wait_until(lambda: first.pid in senders(), "the entry")
    first.terminate()
    first.wait(DEADLINE_SECONDS)
    PeriodicTask.objects.filter(task=SECONDLY).update(enabled=False)
    second = start_beat()
    wait_until(lambda: second.pid in senders(), "the entry to run again")


def test_an_hourly_entry_is_sent_at_once_if_it_became_overdue_while_it_was_disabled(start_beat, senders):
    make_overdue()
    PeriodicTask.objects.filter(task=HOURLY).update(enabled=False)
    beat = start_beat()
    wait_until(lambda: senders(HOURLY) == [beat.pid], "the overdue task")


def test_an_entry_made_by_hand_stays_disabled(start_beat, senders):
    second = IntervalSchedule.objects.create(every=1, period="seconds")
    PeriodicTask.objects.create(name="by hand", task=SECONDLY, interval=second, expire_seconds=1, enabled=False)
    beat = start_beat()
    wait_until(lambda: beat.pid in senders(), "the leader")
    assert PeriodicTask.objects.get(name="by hand").enabled is False
