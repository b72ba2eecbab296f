"""Somebody reads the page of a practice: whether it holds, its rules, its chapter; staff its last 24 hours."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.outages import unreachable_database
from workers.models import FindingSample
from workers.practices import Finding, registry

pytestmark = pytest.mark.django_db
NUMBERS = [practice.number for practice in registry.PRACTICES]


@pytest.fixture(autouse=True)
def failing(monkeypatch) -> None:
    """All nine fail, with a figure that only staff may see."""
    for practice in registry.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: Finding(False, "7 secret ones", "A secret reason."))


@pytest.mark.parametrize("number", NUMBERS)
def test_everybody_reads_the_chapter_and_the_rules_of_each(client, number):
    answer = client.get(f"/practices/{number}/")
    page = answer.content.decode()
    practice = registry.PRACTICES[number - 1]
    assert (answer.status_code, practice.title in page, practice.file in page) == (200, True, True)
    assert f"<code>practices.E{number}01</code>" in page
    assert ">Failing<" in page
    assert ">One bad day" in page or "<strong>The trap.</strong>" in page  # chapters in the old form
    assert "secret" not in page


def test_the_list_leads_to_each(client):
    page = client.get("/practices/").content.decode()
    assert [number for number in NUMBERS if f'href="/practices/{number}/"' not in page] == []


def test_staff_see_the_figures_and_the_runbook(as_stella):
    page = as_stella.get("/practices/2/").content.decode()
    assert "7 secret ones" in page
    assert "A secret reason." in page
    assert 'href="/operations/runbooks/2-locks/"' in page


def test_staff_see_its_last_24_hours(as_stella):
    now = timezone.now()
    for minutes, ok, figure in ((125, True, 2), (118, False, 8), (117, False, 8), (57, True, 3)):
        taken_at = now - timedelta(minutes=minutes)
        FindingSample.objects.create(number=2, taken_at=taken_at, ok=ok, figure=figure)
        FindingSample.objects.create(number=1, taken_at=taken_at, ok=True, figure=50)
    chart = as_stella.get("/practices/2/").context["chart"]
    (series,), (span,) = chart.series, chart.failing
    assert series.measured == [2, 8, 3]
    assert len(series.values) == 96  # gaps where nothing was measured
    assert span == (now - timedelta(minutes=118), now - timedelta(minutes=116))


def test_the_chart_is_for_staff_alone(client, as_alice):
    for reader in (client, as_alice):
        answer = reader.get("/practices/2/")
        assert "chart" not in answer.context
        assert b"24 hours" not in answer.content


def test_a_number_without_a_practice_is_not_found(client):
    assert client.get("/practices/10/").status_code == 404


def test_chapter_0_has_a_page_as_soon_as_it_is_there(client, settings, tmp_path):
    settings.BASE_DIR = tmp_path
    assert client.get("/practices/0/").status_code == 404
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "0-life-of-a-message.md").write_text("# The life of a message\n\nA click publishes it.\n")
    page = client.get("/practices/0/").content.decode()
    assert "A click publishes it." in page


@pytest.fixture
def chapter_2(settings, tmp_path) -> None:
    """A chapter of its own, in a project that has no other document."""
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    anchors = '<a id="e201"></a> **practices.E201** A lock has a timeout.'
    text = f"# 2 Locks\n\n## One bad day\n\nTwo at once.\n\n## Check it\n\n{anchors}\n"
    (tmp_path / "docs" / "2-locks.md").write_text(text)


def test_its_contents_and_the_anchors_of_its_rules_are_links(client, chapter_2):
    page = client.get("/practices/2/").content.decode()
    contents = page.partition('aria-label="In this chapter"')[2].partition("</nav>")[0]
    assert re.findall(r'href="(#[^"]+)">([^<]+)<', contents) == [
        ("#one-bad-day", "One bad day"),
        ("#check-it", "Check it"),
    ]
    assert '<a href="#e201"><code>practices.E201</code></a>' in page
    assert [' id="e201"' in page, ">practices.E202<" in page, 'href="#e202"' in page] == [True, True, False]


def test_it_leads_to_the_chapters_before_and_after(client, chapter_2):
    for number, rel in ((1, ["next"]), (2, ["prev", "next"]), (9, ["prev"])):
        page = client.get(f"/practices/{number}/").content.decode()
        found = dict(re.findall(r'rel="(prev|next)"\s+href="/practices/(\d)/"', page))
        assert found == {name: str(number + (1 if name == "next" else -1)) for name in rel}


def test_the_course_has_what_is_there_and_no_more(client, chapter_2):
    page = client.get("/practices/").content.decode()
    assert 'href="/practices/3/#lab"' in page
    for missing in ("Glossary", "Exercise:", "/practices/quiz/", "/practices/0/", "/docs/workshop/"):
        assert missing not in page


@pytest.mark.django_db(transaction=True)
def test_the_page_answers_without_the_database(as_stella):
    with unreachable_database("127.0.0.1:1"):
        answer = as_stella.get("/practices/2/")
    assert answer.status_code == 200
    assert b">Failing<" in answer.content


def test_practices_are_in_the_menu_of_staff_alone(as_alice, as_stella):
    menu, _, rest = as_alice.get("/").content.partition(b"<main")
    assert b'href="/practices/"' not in menu
    assert b'<a href="/practices/">How it works</a>' in rest.partition(b"<footer")[2]
    assert b'href="/operations/"' not in as_alice.get("/").content
    assert b'href="/operations/"' in as_stella.get("/").content
    page = as_stella.get("/practices/2/").content.decode()
    assert 'href="/practices/"' in page.partition("<main")[2].partition("<h1")[0]
    assert page.count('aria-current="true"') == 2  # Operations in the menu, Practices below it
