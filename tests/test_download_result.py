"""A user plays or downloads the results of a job."""

import csv
import io

import pytest
from django.http.response import HttpResponseBase
from django.urls import reverse

from tests.factories import State, add_file, upload_of
from workers.models import RejectedRow

FILM = b"".join(number.to_bytes(2) for number in range(5120))


def body(response: HttpResponseBase) -> bytes:
    """The whole body of a streamed response."""
    return b"".join(response)


@pytest.fixture
def film(alice):
    upload = upload_of(alice, State.DONE, name="Ünser Urlaub „2025“.mov")
    add_file(upload, "video.mp4", FILM)
    add_file(upload, "poster.jpg", b"a picture")
    return upload


@pytest.fixture
def play(as_alice, film):
    def get(**headers: str):
        return as_alice.get(reverse("video", args=[film.pk]), headers=headers)

    return get


def test_the_whole_video_comes_with_its_length_and_type(play):
    response = play()
    assert (response.status_code, body(response)) == (200, FILM)
    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Content-Length"] == str(len(FILM))


# whitenoise 6.12 answers 416 to a range of one byte. No player requests one.
@pytest.mark.parametrize(
    ("requested", "sent"),
    [
        ("bytes=0-1", FILM[:2]),
        ("bytes=100-199", FILM[100:200]),
        ("bytes=10000-", FILM[10000:]),
        ("bytes=-5", FILM[-5:]),
        ("bytes=10000-99999", FILM[10000:]),
    ],
)
def test_a_player_that_seeks_gets_the_requested_range(play, requested, sent):
    response = play(Range=requested)
    assert (response.status_code, body(response)) == (206, sent)
    start = FILM.index(sent)
    assert response.headers["Content-Range"] == f"bytes {start}-{start + len(sent) - 1}/{len(FILM)}"
    assert response.headers["Content-Length"] == str(len(sent))


def test_a_range_beyond_the_end_is_416(play):
    response = play(Range="bytes=99999-")
    assert (response.status_code, body(response)) == (416, b"")
    assert response.headers["Content-Range"] == f"bytes */{len(FILM)}"


@pytest.mark.parametrize("invalid", ["bytes=x-y", "rows=1-2", "bytes=5-2", "bytes=0-1,5-6"])
def test_an_invalid_range_is_no_error_of_the_server(play, invalid):
    response = play(Range=invalid)
    assert response.status_code in (200, 416)
    body(response)


def test_a_head_request_gets_no_body(as_alice, film):
    response = as_alice.head(reverse("video", args=[film.pk]))
    assert (response.status_code, body(response)) == (200, b"")
    assert response.headers["Content-Length"] == str(len(FILM))


def test_a_cached_video_is_not_sent_again(play):
    first = play()
    body(first)
    again = play(**{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, body(again)) == (304, b"")


def test_a_download_has_the_name_of_the_uploaded_file(as_alice, film):
    response = as_alice.get(reverse("video", args=[film.pk]), {"download": ""})
    name = "%C3%9Cnser%20Urlaub%20%E2%80%9E2025%E2%80%9C.mp4"
    assert response.headers["Content-Disposition"] == f"attachment; filename*=utf-8''{name}"
    assert body(response) == FILM


@pytest.mark.parametrize("name", ["video", "poster"])
def test_a_browser_asks_before_it_shows_a_copy_again(as_alice, film, name):
    response = as_alice.get(reverse(name, args=[film.pk]))
    assert set(response.headers["Cache-Control"].split(", ")) == {"private", "no-cache"}
    assert "Cookie" in response.headers["Vary"]
    body(response)
    as_alice.post("/accounts/logout/")
    kept = {"If-None-Match": response.headers["ETag"]}
    assert as_alice.get(reverse(name, args=[film.pk]), headers=kept).status_code == 302


def test_a_browser_asks_before_it_shows_rejected_rows_again(as_alice, upload_with_rejections):
    response = as_alice.get(reverse("rejected_rows", args=[upload_with_rejections.pk]))
    assert set(response.headers["Cache-Control"].split(", ")) == {"private", "no-cache"}
    assert "Cookie" in response.headers["Vary"]


def test_the_poster_is_a_jpeg(as_alice, film):
    response = as_alice.get(reverse("poster", args=[film.pk]))
    assert (response.headers["Content-Type"], body(response)) == ("image/jpeg", b"a picture")


@pytest.mark.parametrize("name", ["video", "poster", "rejected_rows"])
def test_a_result_is_404_until_the_job_is_done(as_alice, alice, name):
    for kind in ("video", "csv"):
        upload = upload_of(alice, State.RUNNING, kind=kind)
        assert as_alice.get(reverse(name, args=[upload.pk])).status_code == 404


@pytest.mark.parametrize("name", ["video", "poster"])
def test_another_user_gets_neither_video_nor_poster(as_bob, as_stella, client, film, name):
    address = reverse(name, args=[film.pk])
    assert as_bob.get(address).status_code == 404
    stranger = client.get(address)
    assert stranger.url.startswith("/accounts/login/")
    assert "max-age" not in stranger.headers.get("Cache-Control", "")
    staff = as_stella.get(address)
    assert staff.status_code == 200
    body(staff)


@pytest.fixture
def upload_with_rejections(alice):
    upload = upload_of(alice, State.DONE, kind="csv", name="Bücher.csv", result={"header": ["external_id", "title"]})
    rows = [(7, "No title.", ["B-7", ""]), (3, "No id.", ["", "=1+1"])]
    for line, reason, cells in rows:
        RejectedRow.objects.create(job=upload.job, line=line, reason=reason, cells=cells)
    return upload


def test_rejected_rows_are_a_csv_with_line_and_reason(as_alice, upload_with_rejections):
    response = as_alice.get(reverse("rejected_rows", args=[upload_with_rejections.pk]))
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "filename*=utf-8''B%C3%BCcher%20to%20mend.csv" in response.headers["Content-Disposition"]
    header, *rows = csv.reader(io.StringIO(body(response).decode("utf-8-sig")))
    assert header[:2] == ["external_id", "title"]
    assert [row[2:] for row in rows] == [["3", "No id."], ["7", "No title."]]
    assert rows[0][1] != "=1+1"  # a spreadsheet would run it


def test_another_user_gets_no_rejected_rows(as_bob, as_stella, upload_with_rejections):
    address = reverse("rejected_rows", args=[upload_with_rejections.pk])
    assert as_bob.get(address).status_code == 404
    assert b"No id." in body(as_stella.get(address))
