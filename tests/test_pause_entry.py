"""Staff pause, resume and run a recurring entry, and beat does as they want."""

import json
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from celery import current_app
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler
from redis import Redis

from devtools.processes import wait_until
from mediaapp.models import ActionEntry
from tests.faulty_tasks import lines
from tests.outages import unreachable_broker
from workers.models import Pause
from workers.practices import recurring
from workers.telemetry import pauses

pytestmark = pytest.mark.django_db(transaction=True)
SECONDLY, HOURLY = "every second", "every hour"  # the entries of tests.fast_app
SWEEP, ROLLUP = "sweep jobs every 10 seconds", "roll up task runs every hour"


@pytest.fixture
def entries(transactional_db) -> None:
    """The entries of the code, as beat writes them when it starts, and beat's heartbeat."""
    DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    cache.set(recurring.HEARTBEAT, {"beat": "here", "at": time.time()}, 60)


def click(client: Client, name: str, action: str) -> str:
    """What the next page says."""
    entry = PeriodicTask.objects.get(name=name)
    return client.post(f"/operations/entries/{entry.pk}/{action}/", follow=True).content.decode()


@pytest.fixture
def take(broker: Redis) -> Callable[[], list[str]]:
    """Takes the messages that beat sent, which it waits for, and returns the names of their entries."""

    def read() -> list[str]:
        taken = []
        while message := broker.rpop("default"):
            taken.append(json.loads(message)["headers"]["periodic_task_name"])
        return taken

    return read


def wait_for_callbacks(count: int = 2) -> None:
    """Until beat has restored its entries so often, which it does once a second, as it takes a sample."""
    before = len(lines())
    wait_until(lambda: len(lines()) >= before + 2 * count, "its callbacks")


def test_beat_sends_no_paused_entry_and_after_the_pause_no_run_that_was_missed(start, as_stella, take):
    start("beat", app="tests.fast_app")
    wait_until(lambda: SECONDLY in take(), "the first run")
    click(as_stella, SECONDLY, "pause")
    click(as_stella, HOURLY, "pause")
    PeriodicTask.objects.filter(name=HOURLY).update(last_run_at=timezone.now() - timedelta(hours=5))
    wait_for_callbacks()
    take()
    wait_for_callbacks(1)
    assert take() == []
    click(as_stella, SECONDLY, "resume")
    click(as_stella, HOURLY, "resume")
    sent = []
    wait_until(lambda: sent.extend(take()) or sent.count(SECONDLY) >= 2, "two more runs")
    assert HOURLY not in sent


def test_the_leading_beat_keeps_an_entry_as_staff_want_it(entries, caplog):
    pauses.pause(Pause.Kind.ENTRY, SWEEP, by="stella")
    for restore in (recurring.enable_entries, recurring.restore_entries):
        PeriodicTask.objects.filter(name=ROLLUP).update(enabled=False)
        PeriodicTask.objects.filter(name=SWEEP).update(enabled=True)  # as a click in the admin does
        restore()
        enabled = dict(PeriodicTask.objects.values_list("name", "enabled"))
        assert (enabled[SWEEP], enabled[ROLLUP]) == (False, True)
    assert "recurring_entries_restored entries=['roll up task runs every hour']" in caplog.text


def test_practice_5_says_who_paused_an_entry_instead_of_failing(entries, as_stella):
    click(as_stella, SWEEP, "pause")
    PeriodicTask.objects.filter(name=SWEEP).update(last_run_at=timezone.now() - timedelta(hours=5))
    finding = recurring.verify()
    assert (finding.ok, finding.reason) == (True, "")
    assert f"{SWEEP} is paused by stella since " in finding.summary
    click(as_stella, SWEEP, "resume")
    assert "paused" not in recurring.verify().summary
    assert recurring.verify().ok is True
    PeriodicTask.objects.filter(name=SWEEP).update(enabled=False)
    assert recurring.verify().ok is False


def test_a_click_says_what_stops_with_the_entry(entries, as_stella):
    warning = "Lost messages are not found meanwhile, and what the broker refused waits."
    assert f"beat does not send it. {warning}" in click(as_stella, SWEEP, "pause")
    assert f"was paused or disabled before. {warning}" in click(as_stella, SWEEP, "pause")
    assert warning not in click(as_stella, SWEEP, "resume")


def test_an_entry_made_by_hand_is_shown_while_it_is_paused_and_comes_back(entries, as_stella):
    ten = IntervalSchedule.objects.create(every=10, period="seconds")
    row = {"task": "workers.default.tasks.sweep_jobs", "interval": ten, "expire_seconds": 9}
    PeriodicTask.objects.create(name="by hand", **row)
    click(as_stella, "by hand", "pause")
    assert "by hand is paused by stella" in recurring.verify().summary
    assert not PeriodicTask.objects.get(name="by hand").enabled
    click(as_stella, "by hand", "resume")
    assert PeriodicTask.objects.get(name="by hand").enabled


def test_run_now_sends_the_task_once_with_its_queue_and_expiry(entries, broker, as_stella):
    said = click(as_stella, ROLLUP, "run")
    assert "was sent. If another run holds its lock, this one is skipped." in said
    headers = json.loads(broker.rpop("maintenance"))["headers"]
    assert (headers["task"], headers["periodic_task_name"]) == ("workers.highmem.tasks.roll_up_runs", ROLLUP)
    assert headers["expires"] > timezone.now().isoformat()
    assert broker.llen("maintenance") == 0
    pauses.pause(Pause.Kind.QUEUE, "maintenance", by="stella")
    assert "was sent, and waits: maintenance is paused by stella" in click(as_stella, ROLLUP, "run")
    assert broker.llen("maintenance") == 1


def test_run_now_of_an_entry_without_a_queue_says_that_it_waits_too(broker, as_stella):
    """Its task has a queue in the table. A shell or the admin makes such an entry."""
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    PeriodicTask.objects.create(name="by hand", task="workers.highmem.tasks.roll_up_runs", interval=hourly)
    pauses.pause(Pause.Kind.QUEUE, "maintenance", by="stella")
    assert "was sent, and waits: maintenance is paused by stella" in click(as_stella, "by hand", "run")


def test_a_pause_and_its_end_enable_no_entry_that_was_disabled(entries, as_stella):
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    row = {"task": "workers.highmem.tasks.roll_up_runs", "interval": hourly, "enabled": False}
    PeriodicTask.objects.create(name="by hand", **row)
    assert "was paused or disabled before" in click(as_stella, "by hand", "pause")
    click(as_stella, "by hand", "resume")
    assert not PeriodicTask.objects.get(name="by hand").enabled
    PeriodicTask.objects.filter(name=ROLLUP).update(enabled=False)  # beat would enable it within seconds
    assert "is paused" in click(as_stella, ROLLUP, "pause")


def test_run_now_says_that_the_broker_is_away_and_logs_nothing(entries, as_stella):
    with unreachable_broker():
        assert "was not sent: the broker does not answer" in click(as_stella, ROLLUP, "run")
    assert not ActionEntry.objects.exists()


def test_each_click_is_logged_once(entries, broker, as_stella):
    said = [click(as_stella, ROLLUP, action) for action in ("pause", "pause", "run", "resume", "resume")]
    assert "was paused or disabled before" in said[1]
    assert "was not paused" in said[4]
    done = ActionEntry.objects.order_by("pk").values_list("action", "target")
    assert [*done] == [("pause_entry", ROLLUP), ("run_entry", ROLLUP), ("resume_entry", ROLLUP)]


def test_only_staff_may(entries, as_alice, client, as_stella):
    entry = PeriodicTask.objects.get(name=ROLLUP)
    for action in ("pause", "resume", "run"):
        address = f"/operations/entries/{entry.pk}/{action}/"
        answers = [as_alice.post(address), client.post(address), as_stella.get(address)]
        assert [answer.status_code for answer in answers] == [404, 302, 405]
        assert as_stella.post(f"/operations/entries/0/{action}/").status_code == 404
    assert not Pause.objects.exists()
