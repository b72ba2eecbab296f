"""Somebody looks at the page of a job."""

from uuid import uuid4

import pytest

from tests.factories import State, pages_of, running_upload_of, upload_of
from tests.outages import make_unreachable
from workers import jobs


def page_of(upload) -> str:
    return pages_of(upload)[0]


@pytest.mark.parametrize(
    ("kind", "state", "job", "words"),
    [
        ("video", State.QUEUED, {}, jobs.user_messages.STARTING),
        ("video", State.RUNNING, {}, jobs.user_messages.STARTING),
        ("video", State.DONE, {}, "Download"),
        ("csv", State.DONE, {"result": {"rows": 3, "rejected": 1, "header": ["title"]}}, "rows to mend"),
        ("csv", State.DONE, {"result": {"rows": 3, "rejected": 1, "header": ["title"]}}, "The other rows are in"),
        ("csv", State.DONE, {"result": {"rows": 3, "rejected": 3, "header": ["title"]}}, "No row could go in"),
        ("video", State.FAILED, {"message": "It has no picture."}, "It has no picture."),
        ("video", State.CANCELLED, {"message": "Cancelled."}, "Cancelled."),
    ],
)
def test_it_says_where_the_job_stands(as_alice, alice, kind, state, job, words):
    page = as_alice.get(page_of(upload_of(alice, state, kind=kind, **job)))
    assert page.status_code == 200
    assert words in page.content.decode()


@pytest.mark.parametrize(
    ("codec", "name"), [("windows-1252", "Windows-1252"), ("utf-8", "UTF-8"), ("utf-16", "UTF-16")]
)
def test_an_import_names_the_encoding_as_spreadsheets_do(as_alice, alice, codec, name):
    result = {"rows": 3, "header": ["title"], "encoding": codec, "delimiter": ";"}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert f"read as {name}, separated by semicolons" in page
    assert "no rows" not in page


def test_an_import_of_a_header_alone_says_so(as_alice, alice):
    result = {"rows": 0, "header": ["title"], "encoding": "utf-8", "delimiter": ","}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert "The file has a header and no rows" in page


@pytest.mark.parametrize(("rejected", "is_none"), [(3, True), (2, False)])
def test_an_import_of_bad_rows_alone_is_not_called_imported(as_alice, alice, rejected, is_none):
    result = {"rows": 3, "rejected": rejected, "header": ["title"]}
    upload = upload_of(alice, State.DONE, kind="csv", result=result)
    page, library = as_alice.get(page_of(upload)).content.decode(), as_alice.get("/").content.decode()
    assert [">Nothing imported<" in text for text in (page, library)] == [is_none, is_none]
    assert [">Imported<" in text for text in (page, library)] == [not is_none, not is_none]
    assert "Change the mapping" in page
    assert ("Report on this file" in page, "The other rows are in already" in page) == (not is_none, not is_none)


@pytest.mark.parametrize(("count", "more"), [(1, False), (20, False), (1_021, True)])
def test_of_the_columns_that_were_left_out_twenty_are_named_and_the_others_counted(as_alice, alice, count, more):
    names = [f"left{number} " + "x" * 500 for number in range(count)]
    result = {"rows": 3, "header": ["title"], "ignored_columns": names}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert [f"left{number} " in page for number in (0, 19, 20)] == [True, count > 19, False]
    assert ("and 1,001 more" in page) == more
    assert "x" * 50 not in page


def test_a_running_job_shows_how_far_it_is(as_alice, alice):
    page = as_alice.get(page_of(running_upload_of(alice))).content.decode()
    assert "transcoding" in page
    assert 'value="5"' in page


def test_nothing_of_it_exists_for_somebody_else(as_bob, alice):
    upload = running_upload_of(alice)
    answers = {as_bob.get(page).status_code for page in pages_of(upload)}
    assert answers == {404}


def test_a_stranger_learns_nothing_either(client, alice):
    upload = running_upload_of(alice)
    for page in pages_of(upload):
        theirs, nobodys = client.get(page), client.get(page.replace(str(upload.pk), str(uuid4())))
        assert theirs.status_code == nobodys.status_code
        assert theirs.status_code in (302, 404)


def test_staff_may_look_and_see_what_the_tool_said(as_stella, as_alice, alice):
    upload = upload_of(alice, State.FAILED, message="It has no picture.", detail="moov atom not found")
    assert "moov atom not found" in as_stella.get(page_of(upload)).content.decode()
    assert "moov atom not found" not in as_alice.get(page_of(upload)).content.decode()


def test_markup_in_names_and_words_is_only_text(as_alice, alice):
    evil = "<img src=x onerror=alert(1)>"
    page = as_alice.get(page_of(upload_of(alice, State.FAILED, name=evil, message=evil))).content.decode()
    assert "<img src=x" not in page


def test_the_cache_may_be_away(as_alice, alice, settings):
    upload = running_upload_of(alice)
    make_unreachable(settings, "default")
    assert as_alice.get(page_of(upload)).context["state"]["state"] == "running"


def test_it_is_kept_in_no_cache_of_the_browser(as_alice, alice):
    assert "no-store" in as_alice.get(page_of(upload_of(alice))).headers["Cache-Control"]
