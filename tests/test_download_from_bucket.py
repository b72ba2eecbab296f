"""Somebody plays, downloads or deletes what a job made, and it is in a bucket: the site checks who asks, and sends a
link that soon ends."""

from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.core.files.storage import default_storage
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

from devtools.processes import wait_until
from mediaapp.models import Upload, User
from mediaapp.reports import request_report
from mediaapp.views import files
from tests.factories import State, add_file, upload_of
from workers.models import Job

FILM = bytes(range(256)) * 40

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bucket")]


@pytest.fixture
def film(alice: User) -> Upload:
    upload = upload_of(alice, State.DONE, name="Ünser Urlaub.mov")
    for name, content in (("source", b"as it came"), ("video.mp4", FILM), ("poster.jpg", b"a picture")):
        add_file(upload, name, content)
    return upload


def fetch(response: HttpResponseBase, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """What a browser that follows the link gets."""
    assert response.status_code == 302
    try:
        with urlopen(Request(response["Location"], method=method, headers=headers)) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except HTTPError as error:
        with error:
            return error.code, error.read(), {}


def test_a_player_is_redirected_to_the_bucket_and_can_seek_there(as_alice: Client, film: Upload):
    response = as_alice.get(reverse("video", args=[film.pk]))
    status, body, headers = fetch(response)
    assert (status, body, headers["Content-Type"]) == (200, FILM, "video/mp4")
    status, body, headers = fetch(response, Range="bytes=100-199")
    assert (status, body, headers["Content-Range"]) == (206, FILM[100:200], f"bytes 100-199/{len(FILM)}")


def test_a_head_request_gets_a_url_for_head(as_alice: Client, film: Upload):
    status, body, headers = fetch(as_alice.head(reverse("video", args=[film.pk])), method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(FILM)))


def test_a_download_has_the_name_that_its_owner_gave(as_alice: Client, film: Upload):
    _, _, headers = fetch(as_alice.get(reverse("video", args=[film.pk]), {"download": ""}))
    assert headers["Content-Disposition"] == "attachment; filename*=utf-8''%C3%9Cnser%20Urlaub.mp4"


def test_the_poster_is_a_picture(as_alice: Client, film: Upload):
    _, body, headers = fetch(as_alice.get(reverse("poster", args=[film.pk])))
    assert (body, headers["Content-Type"]) == (b"a picture", "image/jpeg")


@pytest.mark.parametrize(
    ("kind", "content_type"), [("csv", "text/csv; charset=utf-8"), ("parquet", "application/vnd.apache.parquet")]
)
def test_the_rows_of_a_report_are_files_to_save(as_alice: Client, alice: User, kind: str, content_type: str):
    report = request_report(alice)
    Job.objects.update(state=State.DONE)
    default_storage.open(report.storage_name(f"rows.{kind}"), "wb").close()
    _, _, headers = fetch(as_alice.get(reverse(kind, args=[report.pk])))
    assert (headers["Content-Type"], headers["Content-Disposition"]) == (
        content_type,
        f'attachment; filename="Report on your catalogue.{kind}"',
    )


@pytest.mark.parametrize("name", ["video", "poster"])
def test_only_the_owner_and_staff_get_a_url(as_bob: Client, as_stella: Client, client: Client, film: Upload, name: str):
    address = reverse(name, args=[film.pk])
    assert as_bob.get(address).status_code == 404
    assert client.get(address)["Location"].startswith("/accounts/login/")
    assert fetch(as_stella.get(address))[0] == 200


def test_what_is_not_done_yet_is_not_found(as_alice: Client, alice: User, film: Upload):
    Job.objects.update(state=State.RUNNING)
    assert as_alice.get(reverse("video", args=[film.pk])).status_code == 404


def test_no_browser_keeps_the_redirect_or_the_file(as_alice: Client, film: Upload):
    response = as_alice.get(reverse("poster", args=[film.pk]))
    assert set(response["Cache-Control"].split(", ")) == {"private", "no-cache"}
    assert "response-cache-control=private%2c%20no-store" in response["Location"].lower()


def test_a_url_expires(as_alice: Client, film: Upload, monkeypatch: pytest.MonkeyPatch):
    address = reverse("poster", args=[film.pk])
    response = as_alice.get(address)
    assert f"X-Amz-Expires={files.PRESIGNED_SECONDS}&" in response["Location"]
    monkeypatch.setattr(files, "PRESIGNED_SECONDS", 1)
    short = as_alice.get(address)
    wait_until(lambda: fetch(short)[0] == 403, "the end of the link")


def test_the_url_of_a_video_lasts_for_twice_its_length_more(as_alice: Client, film: Upload):
    assert (
        f"X-Amz-Expires={files.PRESIGNED_SECONDS + 2 * 15}&"
        in as_alice.get(reverse("video", args=[film.pk]))["Location"]
    )


def test_while_the_storage_is_away_a_report_says_so(as_alice: Client, alice: User, settings):
    report = request_report(alice)
    made = {"rows": 1, "seconds": 1, "peak_bytes": 1, "expected_bytes": 1}
    now = report.created_at
    Job.objects.update(state=State.DONE, started_at=now, finished_at=now, result=made)
    assert b"no longer there" in as_alice.get(reverse("job", args=[report.pk])).content
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)
    page = as_alice.get(reverse("job", args=[report.pk]))
    assert (page.status_code, b"our storage of files does not answer" in page.content) == (200, True)


def test_while_the_storage_is_away_a_mapping_says_so(as_alice: Client, alice: User, settings):
    upload = upload_of(alice, State.NEEDS_MAPPING, kind="csv")
    address = reverse("mapping", args=[upload.pk])
    assert b"no longer there" in as_alice.get(address).content
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)
    assert b"storage of files does not answer" in as_alice.get(address).content
