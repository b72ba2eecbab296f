"""Staff read in the action log who did what, newest first, and filter it by the address."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from mediaapp import retention
from mediaapp.models import ActionEntry
from mediaapp.views.operations import log

pytestmark = pytest.mark.django_db
PAGE = "/operations/log/"


def write(actor: str, action: str, target: str, *, days_ago: float = 0, detail: str = "") -> None:
    """In SQL: the model sets the time itself."""
    values = [timezone.now() - timedelta(days=days_ago), actor, action, target, detail]
    with connection.cursor() as cursor:
        insert = "INSERT INTO mediaapp_actionentry (at, actor, action, target, detail, request_id)"
        cursor.execute(f"{insert} VALUES (%s, %s, %s, %s, %s, 'r1')", values)


def sentences(client: Client, query: str = "") -> list[str]:
    """What each row says."""
    page = client.get(PAGE + query).content.decode()
    rows = re.findall(r"<tr>\s*<td>(.*?)</td>\s*<td>(.*?)</td>", page, re.DOTALL)
    texts = [unescape(re.sub(r"<.*?>", "", ", ".join(cells), flags=re.DOTALL)) for cells in rows]
    return [re.sub(r"\b\d s ago$", "now", " ".join(text.split()).replace(" ,", ",")) for text in texts]


def test_what_staff_do_is_a_sentence_newest_first(as_stella):
    write("tom", "pause_queue", "imports", days_ago=20 / 24 / 60)
    as_stella.post("/operations/queues/video/pause/")
    assert sentences(as_stella) == [
        "stella paused the queue video, now",
        "tom paused the queue imports, 20 min ago",
    ]


def test_an_action_that_this_release_does_not_know_and_a_detail_are_shown_as_text(as_stella):
    write("tom", "paint_jobs", "<b>12</b>", detail="state:failed")
    assert sentences(as_stella) == ["tom did “paint jobs”: <b>12</b> state:failed, now"]


def test_a_job_is_a_link_to_its_search_which_also_finds_none(as_stella):
    job = "0e5c9d1c-0000-4000-8000-000000000000"
    write("tom", "retry_jobs", job, detail="4 jobs: state:failed")
    write("tom", "cancel_job", job)
    assert sentences(as_stella) == [
        f"tom cancelled the job {job}, now",
        f"tom retried many jobs in {job} 4 jobs: state:failed, now",
    ]
    assert as_stella.get(PAGE).content.decode().count(f'href="/operations/jobs/?q=id:{job}"') == 2
    assert "No job matches." in as_stella.get(f"/operations/jobs/?q=id:{job}").content.decode()


def test_the_filter_is_in_the_address(as_stella):
    for actor in ("stella", "tom"):
        for action in ("pause_queue", "resume_queue"):
            write(actor, action, "video")
    assert len(sentences(as_stella)) == 4
    assert len(sentences(as_stella, "?actor=tom")) == 2
    assert sentences(as_stella, "?actor=tom&action=resume_queue") == ["tom resumed the queue video, now"]
    assert sentences(as_stella, "?actor=nobody") == []
    assert "Nothing of that kind." in as_stella.get(f"{PAGE}?actor=nobody").content.decode()


def test_pages_follow_each_other_while_entries_are_added(as_stella, monkeypatch):
    monkeypatch.setattr(log, "PAGE_SIZE", 2)
    for number in range(5):
        write("tom", "pause_queue", f"q{number}")
    read, address = [], "?actor=tom"
    while address:
        page = as_stella.get(PAGE + address).content.decode()
        read += re.findall(r"<b>(\w+)</b>", page)
        write("tom", "pause_queue", "later")
        found = re.search(r'rel="next"\s+href="(.*?)"', page)
        address = unescape(found[1]) if found else ""
    assert read == ["q4", "q3", "q2", "q1", "q0"]


@pytest.mark.parametrize("query", ["?before=x", "?before=-1", "?before=99999999999999999999999", "?actor=%00"])
def test_an_address_typed_wrongly_is_no_error(as_stella, query: str):
    write("tom", "pause_queue", "video")
    assert as_stella.get(PAGE + query).status_code == 200


def test_only_staff_read_it(as_stella, as_alice, client):
    assert [each.get(PAGE).status_code for each in (as_stella, as_alice, client)] == [200, 404, 302]


def test_it_needs_few_statements_however_long_it_is(as_stella, django_assert_max_num_queries):
    for number in range(60):
        write("tom", "pause_queue", f"q{number}")
    with django_assert_max_num_queries(3):
        as_stella.get(PAGE)


def test_retention_deletes_entries_after_a_year_and_none_of_the_last_month(settings):
    for days_ago in (400, 366, 364, 20):
        write("tom", "pause_queue", f"{days_ago}", days_ago=days_ago)
    assert [retention.delete_old_actions(), retention.delete_old_actions()] == [2, 0]
    assert {*ActionEntry.objects.values_list("target", flat=True)} == {"364", "20"}
    settings.KEEP_JOBS_DAYS = 10
    assert [retention.delete_old_actions(), retention.delete_old_actions()] == [1, 0]
    assert {*ActionEntry.objects.values_list("target", flat=True)} == {"20"}
