"""The person on call opens /operations/: quiet, in trouble, with a stopped monitor, with servers away."""

import re
import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from devtools.processes import wait_until
from mediaapp.views.operations import overview
from tests.outages import UNREACHABLE_URL, make_unreachable
from workers import deadline
from workers.brokers import state
from workers.clock_format import clock_time
from workers.models import FindingSample, Job, Pause, PracticeState, QueueSample
from workers.practices import Finding, locks, registry
from workers.practices.progress import Progress
from workers.queues import table

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESSES = ("/operations/", "/operations/live/", "/operations/capacity/")
VIDEO = "workers.video.tasks.transcode_video"


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each page asks the broker."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


@pytest.fixture
def monitor() -> None:
    """It has just found that all nine hold."""
    write_states(timezone.now())


def ago(**how_long: float) -> timezone.datetime:
    return timezone.now() - timedelta(**how_long)


def write_states(measured_at: timezone.datetime) -> None:
    PracticeState.objects.bulk_create(
        PracticeState(
            number=practice.number, ok=True, summary="1 of 1", figure=1.5, since=ago(days=40), measured_at=measured_at
        )
        for practice in registry.PRACTICES
    )


def set_state(number: int, **fields) -> None:
    PracticeState.objects.filter(number=number).update(**fields)


def write_samples(*, queue: str = "video", **fields) -> None:
    QueueSample.objects.create(queue=queue, **{"unacked": 0} | fields)
    first = next(iter(table().queues))
    QueueSample.objects.create(queue=first, taken_at=fields["taken_at"], waiting=0, unacked=0)


def job(state: str = "queued", queue: str = "video", **fields) -> Job:
    return Job.objects.create(task=VIDEO, queue=queue, state=state, **{"queued_at": timezone.now()} | fields)


def text_of(client: Client, address: str = "/operations/", part: str = "") -> str:
    """The words of a page, or of the part of it with this id."""
    page = client.get(address).content.decode()
    if part:
        page = page.partition(f'id="{part}"')[2]
        page = re.split(r'</section>|<li class="card queue-card|<h2 id="(?:entries|locks)"', page)[0]
    return " ".join(strip_tags(page).split())


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_pages_are_for_staff_alone(client, as_alice, as_stella, address):
    assert client.get(address).headers["Location"].startswith("/accounts/login/")
    assert as_alice.get(address).status_code == 404
    assert as_stella.get(address).status_code == 200
    assert "no-store" in as_stella.get(address).headers["Cache-Control"]


def test_a_quiet_site_is_one_sentence(as_stella, monitor):
    tuesday = ago(days=2)
    set_state(3, since=tuesday)
    text = text_of(as_stella, part="headline")
    assert f"All nine hold since {timezone.localtime(tuesday):%A %H:%M}." in text
    assert "Measured" in text
    assert "beat" not in text
    assert "What to do" not in text
    assert "<title>All nine hold ·" in re.sub(r"\s+", " ", as_stella.get("/operations/").content.decode()).replace(
        "<title> ", "<title>"
    )


def test_what_does_not_hold_is_named_with_its_time_its_reason_and_its_runbook(as_stella, monitor):
    since = ago(minutes=3)
    set_state(8, ok=False, since=since, reason="Nobody reads video: start a video worker.")
    page = as_stella.get("/operations/").content.decode()
    text = text_of(as_stella, part="headline")
    assert f"Backlog does not hold since {clock_time(since)}." in text
    assert "Nobody reads video: start a video worker." in text
    assert 'href="/operations/runbooks/8-backlog/"' in page
    assert "1 of nine does not hold · mediaapp" in " ".join(page.split())


def test_several_troubles_are_counted_and_each_is_named(as_stella, monitor):
    set_state(8, ok=False, reason="Late.")
    set_state(1, ok=False, reason="Full.")
    set_state(7, ok=None, reason="Nobody knows.")
    text = text_of(as_stella, part="headline")
    assert "2 of nine do not hold, and 1 cannot be measured." in text
    assert [name in text for name in ("Broker memory does not hold", "Backlog does not hold", "Timing unknown")] == [
        True,
        True,
        True,
    ]


def test_a_stopped_monitor_is_said_and_the_page_measures_itself(as_stella, monkeypatch):
    write_states(ago(minutes=5))
    for practice in registry.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: Finding(False, "7 of 9", "Measured by the page."))
    text = text_of(as_stella, part="headline")
    assert "The monitor has not measured for 5 min: is beat up?" in text
    assert "9 of nine do not hold." in text
    assert "Measured by the page." in text


def test_a_monitor_that_never_measured_is_said(as_stella):
    assert "The monitor has never measured: is beat up?" in text_of(as_stella, part="headline")


def test_a_monitor_that_skips_a_practice_has_stopped(as_stella, monitor):
    set_state(5, measured_at=ago(minutes=4))
    assert "The monitor has not measured for 4 min" in text_of(as_stella, part="headline")


def test_each_tile_has_its_figure_and_the_minutes_that_did_not_hold(as_stella, monitor):
    set_state(8, figure=140.0)
    for minutes in (40, 41, 42, 90):
        FindingSample.objects.create(number=8, taken_at=ago(minutes=minutes), ok=False, figure=100)
    FindingSample.objects.create(number=8, taken_at=ago(minutes=20), ok=None)
    answer = as_stella.get("/operations/")
    tile = answer.context["board"].tiles[7]
    assert (tile.figure, tile.figure_name) == ("2.3 min", "age of the oldest message")
    assert [round((end - start).total_seconds() / 60) for start, end in tile.chart.failing] == [1, 3]
    assert "It did not hold for 4 min. It was unknown for 1 min." in answer.content.decode()
    assert answer.context["board"].tiles[0].chart.failing == []
    assert "No sample in 24 hours." in answer.content.decode()


def test_the_figure_of_a_tile_has_its_unit_or_its_singular(as_stella, monitor):
    set_state(1, figure=2_000_000.0)
    set_state(2, figure=1.0)
    assert "2 MB memory of the broker" in text_of(as_stella, part="tiles")
    assert "1 lock held" in text_of(as_stella, part="tiles")


def test_a_queue_shows_what_waits_moves_and_is_late(as_stella, broker, monitor):
    now = timezone.now()
    write_samples(taken_at=now - timedelta(minutes=10), waiting=50, finished=100)
    write_samples(taken_at=now, waiting=20, finished=130)
    for _ in range(20):
        job(queued_at=now - timedelta(seconds=700))
    text = text_of(as_stella, part="queue-video")
    assert "Late No consumer" in text
    assert "20 waiting oldest 12 min of 10 min" in text
    assert "In · out a minute 0 · 3 Empty in 7 min" in text
    assert "No video worker gives a sign of life." in text
    assert "Late" not in text_of(as_stella, part="queue-imports")


def test_a_full_and_a_paused_queue_say_so(as_stella, broker, monitor, monkeypatch):
    monkeypatch.setitem(table().queues, "video", replace(table().queues["video"], max_messages=1))
    broker.rpush("video", "a message")
    Pause.objects.create(kind="queue", name="imports", paused_by="stella")
    assert "Full" in text_of(as_stella, part="queue-video")
    text = text_of(as_stella, part="queue-imports")
    assert "Paused" in text
    assert "by stella since" in text
    assert "No consumer" not in text


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(None, "No sample was taken yet"), (9, "The last sample was taken 9 min ago"), (0, r"last sample \d+ s ago")],
)
def test_stopped_samples_are_said(as_stella, monitor, minutes, words):
    if minutes is not None:
        write_samples(taken_at=ago(minutes=minutes), waiting=0)
    text = text_of(as_stella).partition("Target: the wait")[2].partition("Failed today")[0]
    assert re.search(words, text)
    assert ("beat" in text) is (minutes != 0)


def test_running_jobs_locks_and_entries_lead_to_their_jobs(as_stella, alice, monitor):
    running = job("running", owner=alice, worker="video@a", started_at=ago(minutes=12))
    Progress(running.pk, alice.pk).report(43, 100, "transcoding")
    with locks.exclusive(f"job:{running.pk}", lease=30), locks.exclusive("sweep_jobs", lease=30):
        page = as_stella.get("/operations/").content.decode()
        held, at_work = text_of(as_stella, part="locks"), text_of(as_stella, part="running")
    assert page.count(f'href="/jobs/{running.pk}/"') == 2
    assert "sweep_jobs" in held
    assert re.search(r"transcode_video .*alice video@a 43 % transcoding 12 min", at_work)


def test_the_failures_of_today_are_counted_by_their_reason(as_stella, monitor):
    now = timezone.now()
    for number in range(3):
        error = {"error_fingerprint": "0123456789abcdef", "error": "DiskFull: No room for 2."}
        job("failed", finished_at=now, message=f"No room for {number}.", **error)
    for _ in range(2):
        job("failed", finished_at=now, message="It has no picture.")
    job("failed", queued_at=ago(days=1), finished_at=ago(days=1), message="Of yesterday.")
    job("done", finished_at=now, message="A success.")
    failures = as_stella.get("/operations/").context["failures"]
    assert [(each.count, each.message) for each in failures.kinds] == [(3, "No room for 2."), (2, "It has no picture.")]
    assert [len(as_stella.get(each.search_url).context["found"]) for each in failures.kinds] == [
        3,
        5,
    ]  # the second: all of its task
    text = text_of(as_stella, part="failures")
    assert "No room for 2. DiskFull transcode_video" in text
    assert "5 jobs since midnight, for 2 reasons." in text


@pytest.mark.parametrize("kind", ["valkey", "rabbitmq"])
def test_the_memory_of_the_broker_stands_against_its_limit(request, as_stella, settings, monitor, kind):
    if kind == "rabbitmq":
        vhost = request.getfixturevalue("vhost")
        settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = vhost.url, vhost.management
        wait_until(lambda: state.read_broker_state()["memory_bytes"], "RabbitMQ to count its memory")
    page = as_stella.get("/operations/")
    assert page.context["broker"]["memory_bytes"] > 0
    assert ('aria-label="Memory of the broker"' in page.content.decode()) is (kind == "rabbitmq")
    assert ("no limit of its own" in text_of(as_stella, part="broker")) is (kind == "valkey")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broker", ["the broker does not answer"]),
        ("locks", ["Nobody knows who works: the server of the locks", "what is held now: the server of the locks"]),
        ("cache", []),
    ],
)
def test_a_part_whose_server_is_away_says_so_and_the_others_stand(as_stella, settings, monitor, name, words):
    job("failed", finished_at=timezone.now(), message="It has no picture.")
    if name == "broker":
        settings.BROKER_URL = UNREACHABLE_URL
    else:
        make_unreachable(settings, {"cache": "default"}.get(name, name))
    for address in ADDRESSES[:2]:
        text = text_of(as_stella, address)
        assert [each for each in words if each not in text] == []
        assert "It has no picture." in text
        assert "All nine hold since" in text


def test_a_part_that_takes_too_long_says_so(as_stella, monitor, monkeypatch):
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 0.3)
    release = []
    monkeypatch.setitem(overview.DATABASE, "failures", lambda: cache.get("x") or wait_for(release))
    assert "Nobody knows what failed" in text_of(as_stella, part="failures")
    release.append(True)


def wait_for(release: list[bool]) -> None:
    while not release:
        time.sleep(0.05)


def test_the_live_part_is_what_the_page_shows_with_a_title_for_the_tab(as_stella, monitor):
    set_state(8, ok=False, reason="Late.")
    page = as_stella.get("/operations/").content.decode()
    part = as_stella.get("/operations/live/", headers={"HX-Request": "true"}).content.decode()
    assert re.search(r"<title>\s*1 of nine does not hold\s* · mediaapp</title>", part)
    assert "<html" not in part
    assert re.findall(r' id="([\w-]+)"', part) == re.findall(r' id="([\w-]+)"', page[page.index('id="live"') - 1 :])
    assert 'data-poll-after="5"' in part


def test_markup_in_a_message_or_a_name_is_escaped(as_stella, monitor):
    markup = "<img src=x onerror=alert(1)>"
    job("failed", finished_at=timezone.now(), message=markup, error=markup, error_fingerprint="abc")
    set_state(8, ok=False, reason=markup)
    with locks.exclusive(f"job:{markup}", lease=30):
        assert b"<img src=x" not in as_stella.get("/operations/").content


def test_a_lock_of_a_job_that_is_gone_is_still_shown(as_stella, monitor):
    with locks.exclusive(f"job:{uuid4()}", lease=30), locks.exclusive("job:not an id", lease=30):
        assert "job:not an id" in text_of(as_stella, part="locks")
