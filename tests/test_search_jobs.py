"""Somebody of the staff looks for jobs: by any word, by fields, by time."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mediaapp.job_search import conditions, find
from mediaapp.job_search.query import read_query
from tests.factories import State, upload_of
from workers import jobs
from workers.error_fingerprint import fingerprint_text
from workers.models import Job

pytestmark = pytest.mark.django_db

ERROR = "ValueError: bad price in row 7"


def search(client: Client, query: str = "", **more: str) -> list[Any]:
    """The jobs on the page, by their ids."""
    response = client.get(reverse("operations_jobs"), {"q": query, **more})
    assert response.status_code == 200
    return [job.pk for job in response.context.get("found", [])]


def text_of(client: Client, query: str, **more: str) -> str:
    content = client.get(reverse("operations_jobs"), {"q": query, **more}).content.decode()
    return unescape(" ".join(content.split()))


@pytest.fixture
def film(alice):
    return upload_of(alice, State.DONE, name="holiday 2026.mov")


@pytest.fixture
def table(bob):
    error = {"error": ERROR, "error_fingerprint": fingerprint_text(ERROR)}
    return upload_of(bob, State.FAILED, kind="csv", name="price list.csv", **error)


@pytest.fixture
def mail(alice):
    return jobs.create("workers.default.tasks.send_password_reset", owner_id=alice.pk, arguments={}, publish_now=False)


def test_only_the_staff_find_the_page(as_alice, client, film):
    page = reverse("operations_jobs")
    assert page == "/operations/jobs/"
    assert as_alice.get(page).status_code == 404
    assert client.get(page).url.startswith("/accounts/login/")


def test_without_a_search_the_newest_is_first(as_stella, film, table, mail):
    assert search(as_stella) == [mail.pk, table.pk, film.pk]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("{film.pk}", "film"),
        ("{prefix}", "film"),
        ("ALICE", "film mail"),
        ("bob@example", "table"),
        ("holiday", "film"),
        ('"price list"', "table"),
        ("Transcode", "film"),
        ("password_reset", "mail"),
        ("ValueError", "table"),
        ("price", "table"),
        ("bob price", "table"),
        ("alice price", ""),
        ("id:{prefix}", "film"),
        ("owner:alice", "film mail"),
        ("owner:ali", "film mail"),
        ("owner:example.com", "film table mail"),
        ("file:holiday", "film"),
        ("file:price", "table"),
        ("task:import", "table"),
        ("task:nothing", ""),
        ("queue:urgent", "mail"),
        ("state:failed", "table"),
        ("state:queued alice", "mail"),
        ('error:"bad price"', "table"),
        ("error:{fingerprint}", "table"),
        ("OWNER:alice file:holiday", "film"),
        ("100%", ""),
        ("pri_e", ""),
        ("nothing-has-this", ""),
    ],
)
def test_a_word_matches_anything_and_a_field_narrows(as_stella, film, table, mail, query, found):
    query = query.format(film=film, prefix=str(film.pk)[:9], fingerprint=fingerprint_text(ERROR))
    by_name = {"film": film.pk, "table": table.pk, "mail": mail.pk}
    assert set(search(as_stella, query)) == {by_name[name] for name in found.split()}


@pytest.mark.parametrize("query", ["holiday", "alice", "ValueError", "transcode", "owner:example", "nothing-has-this"])
def test_a_text_that_the_newest_jobs_do_not_have_is_looked_up_or_looked_for_page_by_page(
    as_stella, film, table, mail, monkeypatch, query
):
    expected = search(as_stella, query)
    monkeypatch.setattr(find, "WINDOW", 1)
    assert search(as_stella, query) == expected
    monkeypatch.setattr(find, "MAX_RARE", 0)
    found, position, pages = [], {}, 0
    while True:
        page = as_stella.get(reverse("operations_jobs"), {"q": query, **position}).context
        found += [job.pk for job in page["found"]]
        pages += 1
        if not page["older"]:
            break
        position = {"after": page["older"]}
    assert found == expected
    assert pages > 1 or expected == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("colour:red", "There is no field “colour”."),
        ("state:broken", "There is no state “broken”. The states are needs_mapping, queued"),
        ("queue:slow", "There is no queue “slow”. The queues are urgent, default"),
        ("since:tomorrow", "“tomorrow” is no time: write 30m, 1.5h, 3d"),
        ("before:2026-02-31", "“2026-02-31” is no time"),
        ("since:9999-12-31T23:59 before:0001-01-01", "is no time"),
        ("on:9999-12-31", "is no day"),
        ("on:2h", "“2h” is no day"),
        ("id:holiday", "“holiday” is no id"),
        ("ab", "“ab” is too short"),
        ("file:--%--", "“--%--” is too short"),
        ("state: failed", "“state:” needs its value without a space"),
        ("x" * 401, "That is too much at once"),
        (" ".join(["word"] * 11), "That is too much at once"),
    ],
)
def test_what_it_cannot_read_gets_a_sentence_and_nothing_is_searched(as_stella, film, query, sentence):
    assert sentence in text_of(as_stella, query)
    assert search(as_stella, query) == []


@pytest.mark.parametrize(
    "query", ['"', "\x00abc", "::::", "a:b:c", "'; DROP TABLE x; --", "%_%", "error:\\", "on:", "é" * 50]
)
def test_no_text_is_an_error(as_stella, film, query):
    assert search(as_stella, query) in ([], [film.pk])
    assert "<h1>" in text_of(as_stella, query, group="error")
    assert search(as_stella, after=query) == [film.pk], "a position that cannot be read is the newest page"


def test_a_time_is_that_of_the_last_change(as_stella, alice):
    now = timezone.now()
    old, failed_today, running = (upload_of(alice, State.FAILED), upload_of(alice, State.FAILED), upload_of(alice))
    Job.objects.update(created_at=now - timedelta(days=9), queued_at=now - timedelta(days=9))
    Job.objects.filter(pk=old.pk).update(started_at=now - timedelta(days=9), finished_at=now - timedelta(days=8))
    Job.objects.filter(pk=failed_today.pk).update(started_at=now - timedelta(days=9), finished_at=now)
    Job.objects.filter(pk=running.pk).update(started_at=now - timedelta(minutes=90))
    assert search(as_stella) == [failed_today.pk, running.pk, old.pk]
    assert search(as_stella, "since:1h") == [failed_today.pk]
    assert search(as_stella, "since:2h") == [failed_today.pk, running.pk]
    assert search(as_stella, "before:2d") == [old.pk]
    day = (timezone.localtime(now) - timedelta(days=8)).date().isoformat()
    assert search(as_stella, f"on:{day}") == search(as_stella, f"since:9d before:7d on:{day}") == [old.pk]
    assert search(as_stella, f"since:{timezone.localdate()}")[0] == failed_today.pk


def test_a_time_is_also_a_part_of_an_hour_weeks_today_or_yesterday(as_stella, alice):
    now, today = timezone.now(), timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    moments = (now, today - timedelta(hours=9), now - timedelta(days=10), now - timedelta(days=20))
    newest, yesterday, in_two_weeks, older = (upload_of(alice, State.FAILED).pk for _ in moments)
    for pk, moment in zip((newest, yesterday, in_two_weeks, older), moments, strict=True):
        Job.objects.filter(pk=pk).update(queued_at=moment, started_at=moment, finished_at=moment)
    assert search(as_stella, "on:today") == search(as_stella, "since:Today") == [newest]
    assert search(as_stella, "on:yesterday") == [yesterday]
    assert search(as_stella, "since:yesterday before:today") == [yesterday]
    assert search(as_stella, "since:2w") == [newest, yesterday, in_two_weeks]
    assert search(as_stella, "before:1.5w") == [older]
    assert now - timedelta(minutes=91) < read_query("since:1.5h").since < now - timedelta(minutes=89)


def test_the_page_goes_on_where_it_ended_also_among_jobs_of_one_moment(as_stella, alice, monkeypatch):
    monkeypatch.setattr(find, "PER_PAGE", 2)
    made = {upload_of(alice).pk for _ in range(5)}
    Job.objects.update(queued_at=timezone.now())
    found, position = [], {}
    for _ in range(3):
        page = as_stella.get(reverse("operations_jobs"), {"q": "alice", **position}).context
        found += [job.pk for job in page["found"]]
        position = {"after": page["older"]}
    assert len(found) == 5
    assert set(found) == made
    assert page["older"] == ""


def test_the_count_is_shown_where_it_is_cheap(as_stella, alice, monkeypatch):
    monkeypatch.setattr(find, "PER_PAGE", 2)
    for _ in range(4):
        upload_of(alice)
    assert "The newest 2 of 4 jobs" in text_of(as_stella, "state:queued")
    monkeypatch.setattr(find, "MAX_COUNTED", 3)
    assert "The newest 2 of more than 3 jobs" in text_of(as_stella, "state:queued")
    assert "The newest 2 of many jobs" in text_of(as_stella, "holiday")


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        ("state:done", ""),
        ("state:failed", "Retry"),
        ("error:ValueError", "Retry"),
        ("state:queued", "Cancel"),
        ("holiday", ""),
        ("alice", "Cancel"),
        ("", "Retry Cancel"),
    ],
)
def test_only_what_can_be_done_is_offered(as_stella, film, table, mail, monkeypatch, query, changes):
    expected = {(change, of) for change in changes.split() for of in ("the ticked", "all that match")}
    text = text_of(as_stella, query)
    assert set(re.findall(r">(Retry|Cancel) (the ticked|all that match)<", text)) == expected
    assert ("checkbox" in text) == bool(changes)


def test_what_older_pages_may_have_is_offered_for_all(as_stella, film, table, mail, monkeypatch):
    monkeypatch.setattr(find, "PER_PAGE", 1)
    text = text_of(as_stella, "")
    assert "Retry all that match" in text
    assert "Retry the ticked" not in text
    upload_of(film.owner, State.DONE)
    text = text_of(as_stella, "state:done")
    assert "all that match" not in text


def test_a_long_list_has_its_buttons_above_and_below(as_stella, alice):
    for count, times in ((10, 1), (1, 2)):
        for _ in range(count):
            upload_of(alice, State.FAILED)
        assert text_of(as_stella, "").count("Retry the ticked") == times


def test_a_search_that_takes_too_long_ends_with_a_sentence(as_stella, film, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(5) IS NOT NULL'")
    monkeypatch.setattr(find, "MAX_MILLISECONDS", 50)
    slow = RawSQL("slow()", (), output_field=BooleanField())
    monkeypatch.setitem(conditions.ORDERED, "task", lambda text: Q(slow))
    assert "This search takes too long." in text_of(as_stella, "task:video")
    assert search(as_stella, "holiday") == [film.pk]


def test_failures_with_equal_errors_are_one_row_that_leads_to_them(as_stella, alice, table):
    same = [upload_of(alice, State.FAILED, error=f"{ERROR}{n}", error_fingerprint="0123456789abcdef") for n in (1, 2)]
    text = text_of(as_stella, "", group="error")
    assert "2 \xd7" in text
    assert f"{ERROR}2" in text
    assert f"{ERROR}1" not in text
    for query, more in (("", ""), (f'error:"{ERROR}"', f' error:"{ERROR}"')):
        (link,) = re.findall(r'href="(\S*0123456789abcdef\S*)"', text_of(as_stella, query, group="error"))
        assert parse_qs(urlsplit(link).query)["q"] == [f"state:failed error:0123456789abcdef{more}"]
    assert set(search(as_stella, "state:failed error:0123456789abcdef")) == {upload.pk for upload in same}
    assert "1 \xd7" in text_of(as_stella, "bob", group="error")
    assert "No failed job matches." in text_of(as_stella, "state:done", group="error")


def test_an_error_that_was_retried_is_no_longer_found(as_stella, table):
    assert jobs.retry(table.job)
    assert search(as_stella, "error:ValueError") == []


@pytest.mark.parametrize("query", ["", "state:failed", "queue:video", "task:report", "since:2h", "on:2026-11-27"])
def test_an_index_has_the_jobs_in_their_order(film, query):
    """The table is small, so PostgreSQL would read all of it: what is forbidden here costs more with a million jobs."""
    ordered = find.in_order(conditions.read_conditions(read_query(query)).all)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        plan = ordered.values("pk")[:51].explain()
    assert "Sort" not in plan
    assert "Index Scan" in plan or "Index Only Scan" in plan
