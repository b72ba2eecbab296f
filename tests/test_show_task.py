"""A task's page: its runs over a day, a month and a year, its change, its slowest runs, and its failures."""

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from mediaapp.history.periods import round_down
from tests.factories import upload_of
from tests.test_show_queue import words, words_of
from workers.models import Deploy, TaskHour, TaskRun
from workers.telemetry import rollups

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "workers.video.tasks.transcode_video"
PAGE = f"/operations/tasks/{TASK}/"


def run(hours_ago=0.0, task=TASK, outcome="succeeded", **fields):
    ended = timezone.now() - timedelta(hours=hours_ago)
    number = TaskRun.objects.count() + 1
    return TaskRun.objects.create(id=number, task=task, queue="video", outcome=outcome, ended_at=ended, **fields)


def hour(hours_ago, **figures):
    moment = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)
    counts = {"outcomes": {"succeeded": 100}, "runs": 100}
    TaskHour.objects.create(task=TASK, queue="video", hour=moment, **counts | figures)


def read(client, address=PAGE):
    response = client.get(address)
    assert response.status_code == 200
    return words(response.content.decode())


def figures_of(client, title, period="day"):
    """The table beside a chart: a list of figures for each time that has any."""
    html = client.get(f"{PAGE}?period={period}").content.decode()
    figures = [each.partition("</figure>")[0] for each in html.split("<figure")[1:]]
    (figure,) = (each for each in figures if f"<figcaption>{title}</figcaption>" in words_of(each))
    rows = [re.findall(r'<td class="number">(.*?)</td>', row) for row in figure.split("<tr>")]
    return [row for row in rows if set(row) - {"\u2013"}]


def test_only_staff_see_it(as_stella, as_alice, client):
    assert as_stella.get(PAGE).status_code == 200
    assert as_alice.get(PAGE).status_code == 404
    assert client.get(PAGE).headers["Location"] == f"/accounts/login/?next={PAGE}"
    for name in ("no.such.task", "%00", f"{TASK}%00"):
        assert as_stella.get(f"/operations/tasks/{name}/").status_code == 404


def test_a_task_that_never_ran_says_so(as_stella):
    page = read(as_stella)
    assert "runs from the queue video" in page
    assert page.count("No run in this time.") == 7  # six charts, and the slowest
    assert "None in the last 30 days." in page
    assert "Nothing to compare with its last week: no run ended in the last hour." in page
    run(run_seconds=1.0)
    assert "Nothing to compare with its last week: it has no 24 hours of runs before" in read(as_stella)


def test_all_tasks_are_listed_with_their_runs_of_a_day(as_stella, as_alice):
    hour(2, outcomes={"succeeded": 1200, "failed": 3})
    hour(30)
    page = read(as_stella, "/operations/tasks/")
    assert "transcode_video video 1,203 3" in page
    assert "send_password_reset urgent 0 0" in page
    assert f'href="{PAGE}"' in as_stella.get("/operations/tasks/").content.decode()
    assert as_alice.get("/operations/tasks/").status_code == 404


def test_a_task_of_an_older_release_is_shown_while_its_hours_are_kept(as_stella):
    TaskHour.objects.create(task="old.task", queue="video", hour=timezone.now(), outcomes={}, runs=0)
    assert "is a task of an older release" in read(as_stella, "/operations/tasks/old.task/")


def test_hours_and_the_runs_since_the_rollup_are_one_line(as_stella):
    run(5, run_seconds=1.0, wait_seconds=0.5, peak_bytes=50_000_000)
    run(5, run_seconds=3.0, wait_seconds=1.5, peak_bytes=90_000_000, outcome="failed")
    rollups.roll_up_hours()
    assert figures_of(as_stella, "Runs") == [["2", "1"]]
    run(0, run_seconds=7.0, outcome="succeeded")
    run(0, outcome="refused")
    run(0, task="workers.default.tasks.sweep_jobs", run_seconds=99.0)
    assert figures_of(as_stella, "Runs") == [["2", "1"], ["1", "0"]]
    assert figures_of(as_stella, "Run time") == [["2 s", "2.9 s"], ["7 s", "7 s"]]
    assert figures_of(as_stella, "Longest run") == [["3 s"], ["7 s"]]
    assert figures_of(as_stella, "Wait in the queue") == [["1 s", "1.4 s"]]
    assert figures_of(as_stella, "Longest wait") == [["1.5 s"]]
    assert figures_of(as_stella, "Peak memory of a run") == [["90 MB", "90 MB"]]
    total = "runs 3 failed 1 skipped 1 longest run 7 s longest wait 1.5 s peak memory 90 MB"
    assert total in read(as_stella)
    rollups.roll_up_hours()  # now this hour is in both tables
    assert total in read(as_stella)


def test_the_hour_of_now_is_in_the_chart_of_runs(as_stella):
    run(run_seconds=2.0)
    assert figures_of(as_stella, "Runs") == [["1", "0"]]
    assert figures_of(as_stella, "Run time") == [["2 s", "2 s"]]


def test_a_month_is_the_mean_of_its_hours_by_their_runs(as_stella):
    step = round_down(timezone.now() - timedelta(days=9), timedelta(hours=3))
    first = int((timezone.now() - step) / timedelta(hours=1))
    hour(first, run_p50=1.0, run_p95=2.0, run_max=5.0, runs=300)
    hour(first - 1, run_p50=5.0, run_p95=6.0, run_max=9.0, runs=100)
    hour(24 * 300, run_p50=4.0, run_p95=4.0, run_max=4.0)
    assert figures_of(as_stella, "Run time", "month") == [["2 s", "3 s"]]
    assert figures_of(as_stella, "Run time", "year") == [["4 s", "4 s"], ["2 s", "3 s"]]
    assert figures_of(as_stella, "Longest run", "month") == [["9 s"]]


def test_hours_that_are_missing_are_said_in_words(as_stella):
    hour(9)
    assert "Hours are missing" in read(as_stella)
    hour(2)  # which was not over when it was rolled up
    assert "Hours are missing" in read(as_stella)
    hour(1)
    assert "Hours are missing" not in read(as_stella)


def test_a_deploy_is_marked(as_stella):
    run(run_seconds=1.0)
    Deploy.objects.create(release="v42", began_at=timezone.now() - timedelta(hours=3))
    assert "v42 began" in read(as_stella)


def test_a_slower_task_is_said_in_words_and_figures(as_stella):
    for hours_ago in range(2, 40):
        hour(hours_ago, run_p95=1.0)
    for _ in range(30):
        run(run_seconds=1.1)
    page = read(as_stella)
    assert "As usual In the last hour one run in twenty took longer than 1.1 s, in the week before usually 1 s" in page
    assert "10 % more." in page
    TaskRun.objects.update(run_seconds=3.0)
    page = read(as_stella)
    assert "Slower In the last hour one run in twenty took longer than 3 s, in the week before usually 1 s" in page
    assert "200 % more." in page


def test_the_slowest_runs_are_first_and_link_to_their_jobs(as_stella, alice):
    upload = upload_of(alice, "done")
    run(30, run_seconds=50.0)
    run(5, run_seconds=9.0, job_id=upload.pk)
    run(0, run_seconds=8.0)
    for _ in range(12):
        run(6, run_seconds=0.5)
    rollups.roll_up_hours()
    html = as_stella.get(PAGE).content.decode()
    section = html[html.index('id="slowest"') : html.index('id="failures"')]
    assert re.findall(r"(\d[\d.]* m?s)</td>", section)[:3] == ["9 s", "8 s", "500 ms"]
    assert f'<a href="/jobs/{upload.pk}/">holiday.mov</a>' in section
    assert "holiday.mov alice" in words(section)
    month = as_stella.get(f"{PAGE}?period=month").content.decode()
    assert "50 s</td>" in month


def test_the_slowest_runs_of_a_year_are_those_that_are_kept(as_stella):
    for days in range(40, 50):
        hour(24 * days, run_max=999.0)
    run(5, run_seconds=7.0)
    rollups.roll_up_hours()
    year = as_stella.get(f"{PAGE}?period=year").content.decode()
    assert "7 s</td>" in year[year.index('id="slowest"') :]


def test_failures_have_their_tracebacks_and_their_jobs(as_stella, alice):
    upload = upload_of(alice, "failed", detail="Traceback:\nin probe\nProbeError: no stream")
    run(9, outcome="failed", error="Traceback:\nin main\nValueError: seven", run_seconds=2.0, worker="video@host")
    run(8, outcome="failed", job_id=upload.pk)
    run(7, outcome="failed", job_id=uuid.uuid4())  # its row is gone
    run(6, outcome="lost")
    run(5, outcome="failed")
    page = read(as_stella)
    assert "Traceback: in main ValueError: seven" in page
    assert "Traceback: in probe ProbeError: no stream" in page
    order = [
        "killed at its time limit",
        "Its process was lost",
        "Its job had the error, and is deleted",
        "no stream",
        "seven",
    ]
    places = [page.index(text, page.index("Newest failures")) for text in order]
    assert places == sorted(places)
    assert f'href="/jobs/{upload.pk}/"' in as_stella.get(PAGE).content.decode()
