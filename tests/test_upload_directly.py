"""A browser sends files straight to the bucket: a real S3 server, which accepts only what the site has signed."""

import pytest
import urllib3
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from devtools.processes import wait_until
from mediaapp.models import OpenUpload, Upload
from mediaapp.uploads import direct, receive
from mediaapp.uploads.filetypes import EMPTY_MESSAGE, UNKNOWN_TYPE_MESSAGE
from tests.direct_uploads import JSON, LARGE, ROWS, bucket_contents, open_upload, send_form, send_part
from workers.models import Job

PROGRAM = b"MZ\x90\x00\x03\x00\x00\x00\x04" + bytes(range(256)) * 20
NOWHERE = "00000000-0000-4000-8000-000000000000"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bucket")]


def is_empty() -> bool:
    return not (Upload.objects.exists() or OpenUpload.objects.exists() or Job.objects.exists() or bucket_contents())


def test_a_small_file_is_one_form_and_becomes_a_job_at_its_close(as_alice, alice, broker):
    how = open_upload(as_alice)
    assert send_form(how["form"]) == 201
    assert not Upload.objects.exists()
    answer = as_alice.post(how["close"])
    upload = Upload.objects.get()
    assert (answer.status_code, answer.json()["page"]) == (201, f"/jobs/{upload.pk}/")
    assert how["close"] == f"/uploads/{upload.pk}/close/"
    assert (upload.owner, upload.kind, upload.name, upload.size) == (alice, Upload.Kind.CSV, "books.csv", len(ROWS))
    assert (upload.job.owner, upload.job.state, upload.job.arguments["source"]) == (alice, "queued", upload.file)
    assert bucket_contents() == {upload.file: len(ROWS)}
    assert default_storage.open(upload.file).read() == ROWS
    assert (OpenUpload.objects.count(), broker.llen("imports")) == (0, 1)


def test_a_worker_without_a_shared_disk_imports_the_file(as_alice, alice, broker, start, bucket, tmp_path):
    how = open_upload(as_alice)
    send_form(how["form"])
    progress = as_alice.post(how["close"]).json()["progress"]
    own = {name: str(tmp_path / "elsewhere" / name) for name in ("MEDIA_ROOT", "LOCAL_DIR", "SCRATCH_DIR")}
    start("highmem", **bucket, **own)
    wait_until(lambda: as_alice.get(progress).json()["state"] == "done", "the import")
    assert [item.title for item in alice.catalogue.all()] == ["The Silent Sea"]


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        (ROWS + b"x", {}, 400),
        (ROWS[:-1], {}, 400),
        (ROWS, {"key": "uploads/another/source"}, 403),
        (ROWS, {"Content-Type": "text/html"}, 403),
        (ROWS, {"policy": "e30="}, 403),
    ],
    ids=["too large", "too small", "elsewhere", "of another type", "with another policy"],
)
def test_the_storage_refuses_a_form_that_differs_from_the_signed_one(as_alice, content, fields, status):
    assert send_form(open_upload(as_alice)["form"], content, **fields) == status
    assert bucket_contents() == {}


def test_a_large_file_comes_in_parts_and_continues_where_it_ended(as_alice, broker):
    how = open_upload(as_alice, LARGE)
    assert (how["parts"]["size"], how["parts"]["arrived"]) == (direct.PART_BYTES, [])
    assert send_part(as_alice, how["parts"], 2) == 200
    early = as_alice.post(how["close"])
    assert (early.status_code, early.json()) == (409, {"error": direct.NOT_ARRIVED_MESSAGE})
    again = open_upload(as_alice, LARGE)
    assert (again["close"], again["parts"]["arrived"]) == (how["close"], [2])
    assert send_part(as_alice, again["parts"], 1) == 200
    assert as_alice.post(how["close"]).status_code == 201
    upload = Upload.objects.get()
    assert bucket_contents() == {upload.file: len(LARGE)}
    assert default_storage.open(upload.file).read() == LARGE
    assert (OpenUpload.objects.count(), broker.llen("imports")) == (0, 1)


def test_another_file_does_not_get_the_parts_of_an_open_upload(as_alice, as_bob):
    first = open_upload(as_alice, LARGE)
    for other in ({"name": "other.csv"}, {"size": len(LARGE) - 1}, {"last_modified": 2}, {"last_modified": ""}):
        assert open_upload(as_alice, LARGE, **other)["close"] != first["close"]
    assert open_upload(as_bob, LARGE)["close"] != first["close"]


def test_the_storage_refuses_a_part_of_another_size_or_number(as_alice):
    parts = open_upload(as_alice, LARGE)["parts"]
    link = as_alice.post(parts["sign"], {"number": 1}).json()["url"]
    assert urllib3.request("PUT", link, body=b"short").status == 403
    assert urllib3.request("PUT", link, body=LARGE[: parts["size"] + 1]).status == 403
    other_link = link.replace("partNumber=1", "partNumber=3")
    assert urllib3.request("PUT", other_link, body=LARGE[: parts["size"]]).status == 403
    for number in ("0", "3", "-1", "x", "", "9" * 30):
        assert as_alice.post(parts["sign"], {"number": number}).status_code == 400


@pytest.mark.parametrize("content", [ROWS, LARGE], ids=["form", "parts"])
def test_only_the_owner_signs_closes_and_discards_an_upload(as_alice, as_bob, client, content):
    how = open_upload(as_alice, content)
    for address in (how["close"], how["discard"], how["close"].replace("close", "parts")):
        assert as_bob.post(address, {"number": 1}, headers=JSON).status_code == 404
        assert client.post(address, {"number": 1}, headers=JSON).status_code == 403
        assert as_alice.get(address).status_code == 405
    assert OpenUpload.objects.count() == 1
    assert not Upload.objects.exists()
    for address in (f"/uploads/{NOWHERE}/close/", f"/uploads/{NOWHERE}/parts/", f"/uploads/{NOWHERE}/discard/"):
        assert as_alice.post(address, headers=JSON).status_code == 404


def test_only_the_owner_gets_the_answer_of_a_repeated_close(as_alice, as_bob):
    how = open_upload(as_alice)
    send_form(how["form"])
    assert as_alice.post(how["close"]).status_code == 201
    assert as_bob.post(how["close"]).status_code == 404
    assert as_alice.post(how["discard"], headers=JSON).status_code == 404
    assert Upload.objects.count() == len(bucket_contents()) == 1


def test_an_upload_without_its_file_is_not_closed(as_alice):
    how = open_upload(as_alice)
    assert as_alice.post(how["close"]).status_code == 409
    send_form(how["form"])
    assert as_alice.post(how["close"]).status_code == 201


@pytest.mark.parametrize("content", [PROGRAM, PROGRAM * 2000], ids=["form", "parts"])
def test_a_rejected_file_gets_a_message_and_leaves_nothing(as_alice, content):
    how = open_upload(as_alice, content, "film.mp4")
    if "form" in how:
        send_form(how["form"], content)
    else:
        for number in (1, 2):
            send_part(as_alice, how["parts"], number, content)
    answer = as_alice.post(how["close"])
    assert (answer.status_code, answer.json()) == (422, {"error": UNKNOWN_TYPE_MESSAGE})
    assert is_empty()
    assert as_alice.post(how["close"]).status_code == 404


def test_a_file_over_the_limit_of_its_kind_is_rejected(as_alice, monkeypatch):
    monkeypatch.setitem(receive.MAX_BYTES_BY_KIND, Upload.Kind.CSV, len(ROWS) - 1)
    how = open_upload(as_alice)
    send_form(how["form"])
    assert "at most" in as_alice.post(how["close"]).json()["error"]
    assert is_empty()


def test_an_upload_without_a_valid_name_and_size_is_not_opened(as_alice):
    for asked, status, words in (
        ({"name": "a.csv", "size": 0}, 422, EMPTY_MESSAGE),
        ({"name": "a.csv", "size": receive.MAX_BYTES + 1}, 422, "at most"),
        ({"name": "a.csv", "size": 10**30}, 400, "size in bytes"),
        ({"name": "a.csv", "size": "9" * 5000}, 400, "size in bytes"),  # which Python does not make a number of
        ({"name": "a.csv", "size": "-1"}, 400, "size in bytes"),
        ({"name": "a.csv"}, 400, "size in bytes"),
        ({"name": "", "size": 5}, 400, "size in bytes"),
    ):
        answer = as_alice.post("/uploads/open/", asked)
        assert (answer.status_code, words in answer.json()["error"]) == (status, True), asked
    assert is_empty()


def test_an_owner_has_a_limited_number_of_open_uploads(as_alice, as_bob, monkeypatch):
    monkeypatch.setattr(direct, "MAX_OPEN_UPLOADS", 2)
    how = [open_upload(as_alice, LARGE), open_upload(as_alice)][0]
    full = as_alice.post("/uploads/open/", {"name": "b.csv", "size": 5})
    assert (full.status_code, "2 uploads" in full.json()["error"]) == (429, True)
    assert open_upload(as_alice, LARGE)["close"] == how["close"]
    open_upload(as_bob)
    assert as_alice.post(how["discard"], headers=JSON).status_code == 200
    open_upload(as_alice)


def test_a_discarded_upload_is_deleted_and_others_stay(as_alice):
    kept, form, parts = open_upload(as_alice, LARGE, "kept.csv"), open_upload(as_alice), open_upload(as_alice, LARGE)
    send_part(as_alice, kept["parts"], 1)
    send_part(as_alice, parts["parts"], 1)
    send_form(form["form"])
    assert as_alice.post(form["discard"], headers=JSON).json() == {}
    assert as_alice.post(parts["discard"]).url == "/"  # the button on the page
    assert [upload.name for upload in OpenUpload.objects.all()] == ["kept.csv"]
    assert list(bucket_contents().values()) == [-1]
    assert open_upload(as_alice, LARGE, "kept.csv")["parts"]["arrived"] == [1]


@pytest.mark.parametrize("content", [ROWS, LARGE], ids=["form", "parts"])
def test_the_library_lists_the_owners_open_uploads(as_alice, as_bob, content):
    open_upload(as_alice, content, "holiday.csv")
    assert "holiday.csv" in as_alice.get("/").content.decode()
    assert "holiday.csv" not in as_bob.get("/").content.decode()


def test_neither_a_visitor_nor_a_form_without_csrf_token_opens_an_upload(client, alice):
    asked = {"name": "a.csv", "size": 5}
    assert client.post("/uploads/open/", asked).status_code == 403
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post("/uploads/open/", asked).status_code == 403
    assert is_empty()


def test_nothing_is_kept_while_the_storage_is_away(as_alice, settings):
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)
    answer = as_alice.post("/uploads/open/", {"name": "a.csv", "size": len(LARGE)})
    assert (answer.status_code, "does not answer" in answer.json()["error"]) == (503, True)
    small = open_upload(as_alice)
    assert as_alice.post(small["close"]).status_code == 503
    through_site = as_alice.post("/uploads/", {"file": SimpleUploadedFile("books.csv", ROWS)}, headers=JSON)
    assert (through_site.status_code, "Nothing of it is kept" in through_site.json()["error"]) == (422, True)
    assert not Job.objects.exists()


def test_a_form_without_javascript_goes_through_the_site_into_the_bucket(as_alice, monkeypatch):
    response = as_alice.post("/uploads/", {"file": SimpleUploadedFile("books.csv", ROWS)})
    upload = Upload.objects.get()
    assert response.url == f"/jobs/{upload.pk}/"
    assert bucket_contents() == {upload.file: len(ROWS)}
    monkeypatch.setattr(receive, "MAX_BYTES_THROUGH_SITE", len(ROWS))
    refused = as_alice.post("/uploads/", {"file": SimpleUploadedFile("more.csv", ROWS + b"2,x\n")}, headers=JSON)
    assert refused.status_code == 422
    assert len(bucket_contents()) == 1


def test_the_page_names_the_limit_without_javascript(as_alice):
    page = as_alice.get("/")
    assert page.context["max_form_bytes"] == 16_000_000
    assert "<noscript>Without JavaScript" in page.content.decode()
