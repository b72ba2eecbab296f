"""A queue's page: what waits now and how old that figure is, a day, a month and a year of it, and its jobs."""

import os
import re
import signal
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from devtools.processes import wait_until
from mediaapp.history.periods import round_down
from tests.factories import upload_of
from tests.outages import make_unreachable
from workers.brokers import state
from workers.models import Deploy, Pause, QueueHour, QueueSample
from workers.telemetry import liveness
from workers.telemetry.liveness import Worker

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/operations/queues/video/"


def sample(seconds_ago, **figures):
    figures = {"waiting": 0, "unacked": 0, "consumers": 1, "finished": 0} | figures
    QueueSample.objects.create(queue="video", taken_at=timezone.now() - timedelta(seconds=seconds_ago), **figures)


def read(client, address=PAGE):
    """The page's words: what a reader hears, without the markup."""
    response = client.get(address)
    assert response.status_code == 200
    return words(response.content.decode())


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_only_staff_see_it(as_stella, as_alice, client):
    assert as_stella.get(PAGE).status_code == 200
    assert as_alice.get(PAGE).status_code == 404
    assert client.get(PAGE).headers["Location"] == f"/accounts/login/?next={PAGE}"
    for name in ("none", "none/live", "%00", "%00/live"):
        assert as_stella.get(f"/operations/queues/{name}/").status_code == 404


def test_a_queue_without_samples_says_so(as_stella):
    page = read(as_stella)
    assert "No sample yet. The leading beat samples twice a minute: is it up?" in page
    assert "None runs, none waits, and none failed in the last 24 hours." in page


def test_the_figures_of_now_have_an_age(as_stella):
    sample(600, waiting=30, finished=100)
    sample(12, waiting=20, unacked=1, finished=149, oldest_seconds=40.0)
    page = read(as_stella)
    assert re.search(r"waiting 20 in progress 1 oldest 40 s in a minute 4\.1 out a minute 5 empty in 23 min", page), (
        page
    )
    assert re.search(r"Sampled 1[2-9] s ago", page), page
    assert "Samples have stopped" not in page


def test_its_card_tells_the_same_flow(as_stella, broker, alice):
    """Of the samples: jobs that ended count once, as runs."""
    sample(600, waiting=30, finished=100)
    sample(12, waiting=20, unacked=1, finished=149)
    for _ in range(3):
        upload_of(alice, "failed")
    card = words(as_stella.get("/operations/").content.decode().partition('id="queue-video"')[2])
    flow = re.search(r"In · out a minute (\S+) · (\S+) Empty in (\d+ \w+)", card)
    assert flow, card
    assert flow.groups() == ("4.1", "5", "23 min")
    assert "in a minute 4.1 out a minute 5 empty in 23 min" in read(as_stella)


def test_samples_that_have_stopped_are_said_in_words(as_stella):
    sample(1000, waiting=3)
    assert "Samples have stopped The newest is 17 min old, and nobody knows what happened since." in read(as_stella)


def test_a_late_queue_without_a_consumer_says_both(as_stella):
    sample(5, waiting=3, consumers=0, oldest_seconds=2000.0)
    page = read(as_stella)
    assert "oldest, later than its target 33 min" in page
    assert "No worker No video worker gives a sign of life: start one." in page
    assert "Did not hold: " in page  # the chart


def test_a_pause_has_its_name_and_replaces_the_missing_consumer(as_stella):
    Pause.objects.create(kind="queue", name="video", paused_by="stella")
    Pause.objects.create(kind="queue", name="urgent", paused_by="bob")
    sample(5, waiting=3, consumers=0)
    page = read(as_stella)
    assert "Paused by stella since" in page
    assert "No worker consumes it." in page
    assert "start one" not in page
    assert "consumer" not in page.partition("Over time")[0].replace("The video worker consumes", "")
    assert "bob" not in page


def living(**fields):
    now = time.time()
    liveness.beat(replace(Worker("video@host", ["video"], started_at=now - 90, beat_at=now), **fields))


@pytest.mark.usefixtures("broker")
def test_a_worker_that_has_just_started_is_seen_before_the_next_sample(as_stella):
    sample(20, consumers=0)
    assert "No video worker gives a sign of life: start one." in read(as_stella)
    living()
    page = read(as_stella)
    assert "1 video worker gives a sign of life." in page
    assert "start one" not in page


def test_a_stopped_worker_is_silent_although_the_broker_counts_it(start, as_stella, broker, monkeypatch):
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)
    worker = start("video", app="tests.fast_app")
    assert "1 video worker gives a sign of life." in read(as_stella)
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 3)
    silent = r"Silent video@\S+ has given no sign of life for \d+ s: it is stopped, or its machine is lost"
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        for page in (PAGE, f"{PAGE}live/", "/operations/"):
            wait_until(lambda page=page: re.search(silent, read(as_stella, page)), "the silence")
            assert "although the broker still counts 1 consumer." in read(as_stella, page)
            assert 'href="/operations/runbooks/8-backlog/"' in as_stella.get(page).content.decode()
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: "1 video worker gives a sign of life." in read(as_stella), "its next sign of life")


def test_without_the_server_of_the_locks_it_says_what_the_broker_counts(as_stella, broker, settings):
    make_unreachable(settings, "locks")
    assert "Nobody knows which workers live: the server of the locks does not answer. The broker counts" in read(
        as_stella
    )


def test_its_jobs_are_shown_with_links(as_stella, alice):
    now = timezone.now()
    uploads = [
        upload_of(alice, "queued", name="second.mov", queued_at=now - timedelta(minutes=5)),
        upload_of(alice, "queued", name="first.mov", queued_at=now - timedelta(minutes=9)),
        upload_of(alice, "running", name="runs.mov", attempt=2),
        upload_of(alice, "failed", name="failed.mov", error="ValueError: no stream"),
    ]
    upload_of(alice, "failed", name="long-ago.mov", finished_at=now - timedelta(days=2))
    upload_of(alice, "queued", name="books.csv", kind="csv")
    html = as_stella.get(PAGE).content.decode()
    names = re.findall(r'<a href="/jobs/[0-9a-f-]+/">(.+?)</a>', html)
    assert names == ["runs.mov", "first.mov", "second.mov", "failed.mov"]
    assert all(f'href="/jobs/{upload.pk}/"' in html for upload in uploads)
    assert "ValueError: no stream" in words(html)
    assert "first.mov alice Waiting 0 9 min ago" in words(html)


def chart(client, title, period):
    """The rows of the table beside a chart."""
    html = client.get(f"{PAGE}?period={period}").content.decode()
    figures = [each.partition("</figure>")[0] for each in html.split("<figure")[1:]]
    (figure,) = (each for each in figures if f"<figcaption>{title}</figcaption>" in words_of(each))
    cells = re.findall(r"<td class=\"number\">(.*?)</td>", figure)
    return [cell for cell in cells if cell != "\u2013"], figure


def words_of(html):
    return re.sub(r">\s+|\s+<", lambda found: found[0].strip(), html)


def test_a_day_is_made_of_samples(as_stella):
    for minutes, waiting, finished in ((60, 10, 100), (55, 5, 105), (54, 40, 110), (50, 10, 150)):
        moment = round_down(timezone.now(), timedelta(minutes=5)) - timedelta(minutes=minutes)
        QueueSample.objects.create(
            queue="video", taken_at=moment, waiting=waiting, unacked=0, consumers=2, finished=finished
        )
    Deploy.objects.create(release="v7", began_at=timezone.now() - timedelta(hours=1))
    waiting, figure = chart(as_stella, "Waiting", "day")
    assert "40" in waiting
    assert "v7 began" in figure
    flow, _ = chart(as_stella, "In and out a minute", "day")
    assert flow == ["6.7", "10"]  # the highest of in (6.7, 2.5) and of out (1.7, 10): each change is in its own step


@pytest.mark.parametrize("period", ["month", "year"])
def test_a_month_and_a_year_are_made_of_hours(as_stella, period):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for hours_ago, waiting in ((0, 999), (1, 7), (27 * 24, 70)):
        QueueHour.objects.create(
            queue="video",
            hour=hour - timedelta(hours=hours_ago),
            waiting_max=waiting,
            oldest_max=waiting,
            arrived=600,
            finished=300,
        )
    waiting, _ = chart(as_stella, "Waiting", period)
    assert sorted(waiting) == ["7", "70"]  # the newest hour is not over
    flow, _ = chart(as_stella, "In and out a minute", period)
    assert set(flow) == {"10", "5"}


def test_a_part_that_cannot_be_read_says_so_and_the_others_are_there(as_stella, alice):
    upload_of(alice, "running", name="runs.mov")
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE workers_queuesample IN ACCESS EXCLUSIVE MODE")
        page = read(as_stella)
        cursor.execute("ROLLBACK")
    assert "Nobody knows how it stands now: the database does not answer." in page
    assert "The charts cannot be drawn: the database does not answer." in page
    assert "runs.mov" in page
