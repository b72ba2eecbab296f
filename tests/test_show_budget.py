"""`manage.py budget`: the bill, last week's waits against their targets, and what one dyno more or less would do."""

import json
import shutil
from datetime import datetime, timedelta
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command
from django.utils import timezone

from workers.capacity.prices import price_list
from workers.models import TaskRun

numbers = count(1)


@pytest.fixture
def hour(db) -> datetime:
    """A whole hour of yesterday."""
    return (timezone.now() - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)


def runs(queue: str, arrived: datetime, *, every: float, of: int, run: float, wait: float = 0.1, **more: str) -> None:
    """Writes so many runs, one arriving `every` so many seconds."""
    fields = {"task": "a task", "queue": queue, "outcome": "succeeded", "run_seconds": run, "wait_seconds": wait} | more
    TaskRun.objects.bulk_create(
        TaskRun(id=next(numbers), ended_at=arrived + timedelta(seconds=number * every + wait + run), **fields)
        for number in range(of)
    )


def shown() -> str:
    out = StringIO()
    call_command("budget", stdout=out)
    return out.getvalue()


def found() -> dict:
    out = StringIO()
    call_command("budget", "--json", stdout=out)
    return json.loads(out.getvalue())


def line_of(word: str) -> list[str]:
    return next(line.split() for line in shown().splitlines() if line.split()[:1] == [word])


def queue_of(name: str) -> dict:
    return next(each for each in found()["queues"] if each["queue"]["name"] == name)


def worker_of(name: str) -> dict:
    return next(each for each in found()["workers"] if each["worker"]["name"] == name)


def test_the_bill_is_what_runs_times_what_it_costs(db, settings):
    settings.FORMATION = "web=2:standard-2x,default=1,video=0,highmem=1:performance-l,beat=1"
    assert line_of("web") == ["web", "2", "standard-2x", "100"]
    assert line_of("video") == ["video", "0", "performance-m", "0"]
    addons = sum(each["price"] or 0 for each in found()["bill"] if not each["size"])
    assert line_of("in")[:3] == ["in", "all", str(100 + 50 + 0 + 500 + 25 + addons)]
    assert line_of("heroku-redis:mini") == ["heroku-redis:mini", "1", "3"]


def test_somebody_who_edits_the_price_list_changes_the_bill(db, settings, tmp_path: Path):
    for name in ("Procfile", "app.json", "config/prices.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(Path(site.BASE_DIR, name), tmp_path / name)
    settings.BASE_DIR = tmp_path
    listed = tmp_path / "config/prices.toml"
    listed.write_text(listed.read_text().replace("standard-2x = { price = 50,", "standard-2x = { price = 51,"))
    assert line_of("default") == ["default", "1", "standard-2x", "51"]
    listed.write_text(listed.read_text().replace('[plans."cloudamqp:lemur"]', '[plans."cloudamqp:tiger"]'))
    assert line_of("cloudamqp:lemur")[-2:] == ["not", "listed"]
    assert "whose price the list does not know" in shown()


def test_the_bill_says_how_old_its_prices_are(db):
    assert f"read on {price_list().read}: check before you believe it" in shown()


def test_a_queue_is_measured_against_its_target(hour):
    runs("video", hour, every=60, of=30, run=20.0, wait=100.0)
    runs("video", hour + timedelta(hours=3), every=60, of=30, run=40.0, wait=700.0)  # its target is 600 s
    video = queue_of("video")
    assert (video["runs"], video["mean_run_seconds"], video["run_deviation_seconds"], video["share_in_target"]) == (
        60,
        30.0,
        10.0,
        0.5,
    )
    assert video["wait_p95_seconds"] == 700
    assert (video["busiest_per_minute"], video["is_known"]) == (0.5, True)
    assert {each["queue"]["name"] for each in found()["queues"]} == {"video"}


def test_what_never_ran_counts_for_nothing(hour):
    runs("video", hour, every=60, of=30, run=20.0)
    before = queue_of("video")["runs"]
    runs("video", hour, every=60, of=5, run=20.0, outcome="expired")
    runs("video", hour - timedelta(days=30), every=60, of=5, run=20.0)
    assert queue_of("video")["runs"] == before
    runs("video", hour, every=60, of=5, run=0.01, outcome="retried")
    assert (queue_of("video")["runs"], queue_of("video")["requeued"]) == (before, 5)
    assert "5 more were requeued" in shown()


def test_too_few_runs_are_no_figure(hour):
    runs("video", hour, every=60, of=19, run=20.0)
    assert "19  too few to say anything: 20 are needed" in shown()
    assert "video: fewer than 20 runs in a week" in shown()
    assert worker_of("video")["scenarios"] == []


def test_an_empty_site_is_asked_whether_anything_runs(db):
    assert "nothing ran: are beat and the default worker up?" in shown()


def test_one_dyno_fewer_is_one_that_nobody_reads_and_one_more_costs_more(hour):
    runs("video", hour, every=40, of=90, run=20.0)
    fewer, now, more = worker_of("video")["scenarios"]
    assert (fewer["dynos"], fewer["wait"], fewer["cost"]) == (0, None, -250)
    assert (now["dynos"], now["cost"], now["wait"]["utilization"]) == (1, 0, pytest.approx(0.5))
    assert (more["dynos"], more["cost"], more["wait"]["utilization"]) == (2, 250, pytest.approx(0.25))
    assert "no consumer of video" in shown()


def test_more_than_can_be_done_is_said_in_words(hour, settings):
    settings.FORMATION = "video=2"
    runs("video", hour, every=15, of=240, run=20.0)  # 1.33 dynos' worth
    fewer, now, _ = worker_of("video")["scenarios"]
    assert (fewer["wait"]["mean_seconds"], fewer["wait"]["utilization"]) == (None, pytest.approx(4 / 3))
    assert now["wait"]["mean_seconds"] is not None
    assert "more comes than can be done: 60 wait after it" in shown()


def test_queues_of_one_worker_are_one_line(hour):
    runs("urgent", hour, every=6, of=600, run=2.0)
    runs("default", hour, every=6, of=600, run=4.0)
    now = worker_of("default")["scenarios"][1]
    assert (now["processes"], now["wait"]["utilization"]) == (4, pytest.approx(1 / 4))


def test_a_third_dyno_lets_imports_wait_for_their_table_all_the_same(hour, settings):
    for _ in range(2):  # in pairs
        runs("imports", hour, every=80, of=45, run=30.0)
    runs("highmem", hour, every=60, of=60, run=6.0)
    settings.FORMATION = "highmem=2"
    one, two, three = worker_of("highmem")["scenarios"]
    assert (one["serialized_wait"], two["serialized_wait"]) == (None, None)  # the table takes two writers
    assert three["serialized_wait"]["utilization"] == pytest.approx(0.375)
    assert three["serialized_wait"]["mean_seconds"] > three["wait"]["mean_seconds"]
    assert "no more write into their table at once" in shown()


def test_the_busiest_hour_is_that_of_most_work_not_of_most_runs(hour):
    runs("video", hour, every=60, of=60, run=1.0)
    runs("video", hour + timedelta(hours=2), every=100, of=36, run=50.0)
    view = worker_of("video")["hour"]
    assert (view["runs"], view["load"]["mean_run_seconds"], view["is_assumed"]) == (36, 50.0, False)


def test_an_hour_with_few_runs_is_taken_as_poissons(hour):
    for day in range(5):
        runs("video", hour - timedelta(days=day), every=60, of=5, run=10.0 + day)
    view = worker_of("video")["hour"]
    assert (view["runs"], view["is_assumed"], view["load"]["arrivals_scv"]) == (5, True, 1.0)
    assert "fewer than 20 runs do not tell how they vary" in shown()


def test_words_that_nobody_can_read_end_it(db, settings):
    settings.FORMATION = "video=many"
    with pytest.raises(CommandError, match="video=many"):
        shown()
