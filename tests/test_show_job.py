"""A user opens the page of a job."""

from uuid import uuid4

import pytest

from tests.factories import RESULTS, State, pages_of, running_upload_of, upload_of
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
def test_the_page_shows_each_state_in_words(as_alice, alice, kind, state, job, words):
    page = as_alice.get(page_of(upload_of(alice, state, kind=kind, **job)))
    assert page.status_code == 200
    assert words in page.content.decode()


def test_a_video_names_the_tracks_that_were_left_out(as_alice, alice):
    left_out = [{"kind": "sound track", "name": "Commentary <b>, English"}, {"kind": "subtitles", "name": ""}]
    upload = upload_of(alice, State.DONE, result=RESULTS["video"] | {"left_out": left_out})
    page = " ".join(as_alice.get(page_of(upload)).content.decode().split())
    assert "one sound track. Left out: sound track (Commentary &lt;b&gt;, English), subtitles." in page


def test_a_video_with_nothing_left_out_says_nothing_of_it(as_alice, alice):
    assert b"Left out" not in as_alice.get(page_of(upload_of(alice, State.DONE))).content


@pytest.mark.parametrize(
    ("codec", "name"), [("windows-1252", "Windows-1252"), ("utf-8", "UTF-8"), ("utf-16", "UTF-16")]
)
def test_an_import_names_its_encoding_as_spreadsheet_programs_do(as_alice, alice, codec, name):
    result = {"rows": 3, "header": ["title"], "encoding": codec, "delimiter": ";"}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert f"read as {name}, separated by semicolons" in page
    assert "no rows" not in page


def test_an_import_of_a_header_without_rows_has_a_page(as_alice, alice):
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
    assert 'id="change"' in page
    assert ("Report on this file" in page) == (not is_none)


@pytest.mark.parametrize(("count", "more"), [(1, False), (20, False), (1_021, True)])
def test_an_import_names_twenty_ignored_columns_and_counts_the_others(as_alice, alice, count, more):
    names = [f"ignored{number} " + "x" * 500 for number in range(count)]
    result = {"rows": 3, "header": ["title"], "ignored_columns": names}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert [f"ignored{number} " in page for number in (0, 19, 20)] == [True, count > 19, False]
    assert ("and 1,001 more" in page) == more
    assert "x" * 50 not in page


def test_a_running_job_shows_its_progress(as_alice, alice):
    page = as_alice.get(page_of(running_upload_of(alice))).content.decode()
    assert "transcoding" in page
    assert 'value="5"' in page


def test_another_user_gets_404_for_every_page_of_a_job(as_bob, alice):
    upload = running_upload_of(alice)
    answers = {as_bob.get(page).status_code for page in pages_of(upload)}
    assert answers == {404}


def test_a_visitor_cannot_tell_whether_a_job_exists(client, alice):
    upload = running_upload_of(alice)
    for page in pages_of(upload):
        theirs, nobodys = client.get(page), client.get(page.replace(str(upload.pk), str(uuid4())))
        assert theirs.status_code == nobodys.status_code
        assert theirs.status_code in (302, 404)


def test_staff_see_the_tools_own_error_and_the_owner_does_not(as_stella, as_alice, alice):
    upload = upload_of(alice, State.FAILED, message="It has no picture.", detail="moov atom not found")
    assert "moov atom not found" in as_stella.get(page_of(upload)).content.decode()
    assert "moov atom not found" not in as_alice.get(page_of(upload)).content.decode()


def test_markup_in_a_name_or_message_is_escaped(as_alice, alice):
    markup = "<img src=x onerror=alert(1)>"
    page = as_alice.get(page_of(upload_of(alice, State.FAILED, name=markup, message=markup))).content.decode()
    assert "<img src=x" not in page


def test_the_page_works_while_the_cache_is_away(as_alice, alice, settings):
    upload = running_upload_of(alice)
    make_unreachable(settings, "default")
    assert as_alice.get(page_of(upload)).context["state"]["state"] == "running"


def test_the_browser_does_not_cache_the_page(as_alice, alice):
    assert "no-store" in as_alice.get(page_of(upload_of(alice))).headers["Cache-Control"]
