"""A pause is shown with who and since when, and rings no alarm."""

import time
from datetime import timedelta

import pytest
from celery import current_app
from django.core.cache import cache
from django.utils import timezone
from django.utils.html import strip_tags
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from mediaapp.operations.queue_cards import Slot, queue_cards
from mediaapp.views.operations.pauses import STOPS
from tests.doctor import ask_doctor
from tests.factories import upload_of
from workers import jobs
from workers.brokers import QueueState, state
from workers.brokers.state import read_queue_states
from workers.models import Job, Pause
from workers.practices import Finding, backlog, queues, recurring, timing
from workers.practices import broker as broker_practice
from workers.queues import table
from workers.schedule import scheduled_tasks
from workers.telemetry import canaries, entry_actions, liveness, pauses
from workers.telemetry.queue_flow import QueueFlow, QueueRow

pytestmark = pytest.mark.django_db(transaction=True)
SWEEP = "workers.default.tasks.sweep_jobs"
RESET = "workers.default.tasks.send_password_reset"


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each call asks the broker."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


def pause(name: str) -> None:
    pauses.pause(Pause.Kind.QUEUE, name, by="stella")
    Pause.objects.update(paused_at=timezone.localtime().replace(hour=0, minute=2))
    pauses.write_copy()


def resume(name: str) -> None:
    pauses.resume(Pause.Kind.QUEUE, name)
    pauses.write_copy()


def make_late(task: str) -> None:
    long_ago = timezone.now() - timedelta(hours=9)
    queue = table().queue_of(task)
    Job.objects.create(task=task, queue=queue, queued_at=long_ago, dispatched_at=long_ago)


@pytest.mark.parametrize(
    ("practice", "queue"), [(backlog, "urgent"), (queues, "urgent"), (broker_practice, "urgent")], ids=["8", "3", "1"]
)
def test_a_practice_says_who_paused_a_queue_instead_of_ringing(broker, practice, queue):
    make_late(RESET)
    broker.lpush(queue, "{}")
    others = practice.verify().reason.count(queue)
    assert others > 0
    pause(queue)
    finding = practice.verify()
    assert "urgent is paused by stella since 00:02" in finding.summary
    assert queue not in finding.reason
    resume(queue)
    assert practice.verify().reason.count(queue) == others
    assert "paused" not in practice.verify().summary


def test_a_full_queue_is_no_fault_while_it_is_paused(broker, monkeypatch):
    limit = table().queues["default"].max_messages
    assert isinstance(limit, int)
    broker.lpush("default", *["{}"] * limit)
    assert "default is full" in broker_practice.verify().reason
    pause("default")
    assert broker_practice.verify().ok is True


def test_a_worker_that_goes_on_consuming_a_paused_queue_is_a_fault():
    now = timezone.now()
    worker = liveness.Worker("video@host", ["video"], started_at=now.timestamp(), beat_at=now.timestamp())
    liveness.beat(worker)
    since = now - timedelta(seconds=liveness.SILENT_SECONDS + 5)
    assert "video@host consumes video, which is paused" in " ".join(liveness.faults({"video": since}))
    assert "which is paused" not in " ".join(liveness.faults({"video": now}))
    assert "takes jobs from video" not in " ".join(liveness.faults({"video": now}))


def test_no_canary_is_sent_into_a_paused_queue_or_counted_in_it(broker):
    pause("default")
    canaries.send(read_queue_states())
    assert broker.llen("default") == 0
    assert broker.llen("maintenance") == 1
    resume("default")
    canaries.send(read_queue_states())
    assert broker.llen("default") == 1
    assert "default" in backlog.oldest_waits()
    pause("default")
    assert "default" not in backlog.oldest_waits()


def test_practice_7_says_that_nobody_collects_runs_because_of_a_pause():
    assert "paused" not in timing.verify().reason
    pause("default")
    assert timing.verify() == Finding(True, "not measured; default is paused by stella since 00:02")


def test_practice_5_says_that_an_entry_waits_because_its_queue_is_paused(as_stella):
    cache.set(recurring.HEARTBEAT, {"beat": "a", "at": time.time()}, 60)
    for name, entry in current_app.conf.beat_schedule.items():
        ModelEntry.from_entry(name, app=current_app, **entry)
    PeriodicTask.objects.update(enabled=True, last_run_at=timezone.now())
    PeriodicTask.objects.filter(task=SWEEP).update(last_run_at=timezone.now() - timedelta(seconds=90))
    assert "is late" in recurring.verify().reason
    pause("default")
    finding = recurring.verify()
    assert (finding.ok, finding.reason) == (True, "")
    assert finding.summary.count("default is paused by stella since 00:02") == 1
    page = as_stella.get("/operations/").content.decode().partition('id="entries"')[2]
    assert page.count("default is paused by stella since 00:02") == 2
    resume("default")
    assert "is late" in recurring.verify().reason


def test_a_click_says_what_stops_with_the_queue(as_stella):
    for name, entry in current_app.conf.beat_schedule.items():
        ModelEntry.from_entry(name, app=current_app, **entry)
    PeriodicTask.objects.update(enabled=True)
    told = as_stella.post("/operations/queues/default/pause/", follow=True).content.decode()
    assert "With it stop: collect task runs every 10 seconds, sweep jobs every 10 seconds." in told
    assert "Lost messages are not found meanwhile" in told
    assert "With it stop" not in as_stella.post("/operations/queues/video/pause/", follow=True).content.decode()
    assert scheduled_tasks() == STOPS.keys()


def test_a_quiet_page_says_on_top_what_is_paused(as_stella):
    pause("default")
    ModelEntry.from_entry("sweep", app=current_app, task=SWEEP, schedule=timedelta(seconds=10))
    entry_actions.pause_entry(PeriodicTask.objects.get(name="sweep"), by="bob")
    page = as_stella.get("/operations/").content.decode()
    headline = " ".join(strip_tags(page.partition('id="headline"')[2].partition("</section>")[0]).split())
    assert "Paused queue default by stella since 00:02" in headline
    assert "Paused sweep by bob since" in headline


def test_no_worker_more_is_advised_for_a_paused_queue():
    flow = QueueFlow(arriving=12, finishing=1, seconds_to_empty=None)
    state = QueueState(ready=100, unacked=0, consumers=1, size_bytes=None, max_messages=None)
    row = QueueRow(table().queues["video"], state, 0, 700.0, flow)
    slots = {"video": [Slot("video@host", is_silent=False)]}
    (card,) = queue_cards([row], slots, {})
    assert card.one_more
    (card,) = queue_cards([row], slots, {"video": Pause(kind="queue", name="video", paused_by="stella")})
    assert not card.one_more


def test_the_doctor_names_a_pause():
    pause("video")
    assert "video is paused by stella since 00:02" in ask_doctor()[0]


def test_the_owner_of_a_waiting_job_reads_that_it_is_paused(as_alice, alice):
    upload = upload_of(alice)
    page = f"/jobs/{upload.pk}/"
    assert "Paused" not in as_alice.get(page).content.decode()
    pause("video")
    assert "Paused by our staff. Nothing is lost: it starts when they resume." in as_alice.get(page).content.decode()
    assert ">Paused, next<" in as_alice.get("/").content.decode()
    found = jobs.state_of(upload.job)
    assert (found["is_paused"], found["starts_in_seconds"], found["queue_position"]) == (True, None, 1)
    resume("video")
    assert "Paused" not in as_alice.get(page).content.decode()
