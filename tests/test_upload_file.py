"""A user uploads files through the site."""

import io
import tracemalloc
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.messages import get_messages
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mediaapp.models import Upload
from mediaapp.uploads import receive
from mediaapp.uploads.filetypes import EMPTY_MESSAGE, UNKNOWN_TYPE_MESSAGE
from tests.outages import unreachable_broker
from tests.videos import make_video
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
UPLOAD = "/uploads/"
ROWS = b"external_id,title\n1,The Silent Sea\n"
PROGRAM = b"MZ\x90\x00\x03\x00\x00\x00\x04" + bytes(range(256)) * 20
JSON = {"Accept": "application/json"}


def table(name: str = "books.csv", content: bytes = ROWS) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def send(client: Client, *files: SimpleUploadedFile, **more):
    return client.post(UPLOAD, {"file": files}, **more)


def stored() -> list[Path]:
    """Every file in the storage, and in the folder of temporary files of uploads."""
    folders = (Path(default_storage.location), Path(settings.FILE_UPLOAD_TEMP_DIR))
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def is_empty() -> bool:
    return not (Upload.objects.exists() or Job.objects.exists() or stored())


def test_an_uploaded_csv_becomes_a_published_job_of_its_owner(as_alice, alice, broker):
    response = send(as_alice, table())
    upload = Upload.objects.get()
    assert (response.status_code, response.url) == (302, reverse("job", args=[upload.pk]))
    assert (upload.owner, upload.kind, upload.name, upload.size) == (alice, Upload.Kind.CSV, "books.csv", len(ROWS))
    assert (upload.job.owner, upload.job.state, upload.job.queue) == (alice, "queued", "imports")
    assert upload.job.dispatched_at
    assert upload.job.arguments == {
        "source": upload.file,
        "table": "mediaapp.CatalogueItem",
        "start": {"line": 1, "has_header": True},
        "dialect": {"encoding": "", "delimiter": ",", "quote": '"', "decimal": ".", "dates": "ymd"},
        "columns": {"external_id": 0, "title": 1},
    }
    assert [path.read_bytes() for path in stored()] == [ROWS]
    assert broker.llen("imports") == 1


def test_an_uploaded_video_goes_to_the_video_queue(as_alice, broker, tmp_path):
    send(as_alice, table("holiday.txt", make_video(tmp_path / "film.mp4").read_bytes()))
    assert (Upload.objects.get().kind, broker.llen("video"), broker.llen("imports")) == (Upload.Kind.VIDEO, 1, 0)


def test_a_program_gets_the_urls_of_its_job(as_alice):
    response = send(as_alice, table(), headers=JSON)
    upload = Upload.objects.get()
    page, progress = f"/jobs/{upload.pk}/", f"/jobs/{upload.pk}/progress.json"
    assert response.status_code == 201
    assert response.json() == {"id": str(upload.pk), "page": page, "progress": progress}
    assert as_alice.get(progress).json()["state"] == "queued"


def test_each_of_several_files_becomes_a_job(as_alice):
    assert send(as_alice, table("a.csv"), table("b.csv")).url == "/"
    assert {upload.name for upload in Upload.objects.all()} == {"a.csv", "b.csv"}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (("empty.csv", b""), EMPTY_MESSAGE),
        (("film.mp4", PROGRAM), UNKNOWN_TYPE_MESSAGE),
        (("books.csv", PROGRAM), UNKNOWN_TYPE_MESSAGE),
    ],
)
def test_a_rejected_file_gets_a_message_and_leaves_nothing(as_alice, file, sentence):
    page = as_alice.post(UPLOAD, {"file": table(*file)}, follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert [str(message) for message in get_messages(page.wsgi_request)] == [f"{file[0]}: {sentence}"]
    answer = send(as_alice, table(*file), headers=JSON)
    assert (answer.status_code, answer.json()) == (422, {"error": f"{file[0]}: {sentence}"})
    assert is_empty()


def test_a_rejected_file_does_not_stop_the_others(as_alice):
    assert send(as_alice, table("a.exe", PROGRAM), table("b.csv")).url == "/"
    answer = send(as_alice, table("a.exe", PROGRAM), table("c.csv"), headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (201, f"a.exe: {UNKNOWN_TYPE_MESSAGE}")
    assert {upload.name for upload in Upload.objects.all()} == {"b.csv", "c.csv"}


@pytest.mark.parametrize("sent", [{}, {"file": ""}, {"other": "x"}])
def test_a_form_without_a_file_says_so(as_alice, sent):
    assert as_alice.post(UPLOAD, sent, headers=JSON).json()["error"].startswith("No file arrived")
    assert is_empty()


def test_a_file_over_the_limit_of_its_kind_is_rejected(as_alice, monkeypatch):
    monkeypatch.setitem(receive.MAX_BYTES_BY_KIND, Upload.Kind.CSV, len(ROWS) - 1)
    assert "at most" in send(as_alice, table(), headers=JSON).json()["error"]
    assert is_empty()
    monkeypatch.setitem(receive.MAX_BYTES_BY_KIND, Upload.Kind.CSV, len(ROWS))
    assert send(as_alice, table(), headers=JSON).status_code == 201


def part_of_form(name: str, content: bytes) -> bytes:
    """A file in a form, with the name unchanged, as no browser sends it."""
    return f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content


class Flood(io.RawIOBase):
    """The body of a request with a large file, generated while it is read, and a small file after it."""

    def __init__(self, size: int) -> None:
        self.head = part_of_form("flood.csv", ROWS)
        self.tail = b"\r\n" + part_of_form("books.csv", ROWS) + b"\r\n--x--\r\n"
        self.remaining = size
        self.length = len(self.head) + size + len(self.tail)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        size = len(buffer)
        if self.head:
            part, self.head = self.head[:size], self.head[size:]
        elif self.remaining:
            part = b"x" * min(size, self.remaining)
            self.remaining -= len(part)
        else:
            part, self.tail = self.tail[:size], self.tail[size:]
        buffer[: len(part)] = part
        return len(part)

    def request(self) -> dict:
        body = {"CONTENT_LENGTH": self.length, "wsgi.input": io.BufferedReader(self)}
        return {"CONTENT_TYPE": "multipart/form-data; boundary=x"} | body


def flood(client: Client, body: Flood):
    """Sends the body. Returns the response and the peak of memory meanwhile, in bytes."""
    tracemalloc.start()
    try:
        response = client.generic("POST", UPLOAD, headers=JSON, **body.request())
        return response, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_file_is_streamed_to_the_disk(as_alice):
    response, memory = flood(as_alice, Flood(40_000_000))
    assert response.status_code == 201
    assert {path.stat().st_size for path in stored()} == {40_000_000 + len(ROWS), len(ROWS)}
    assert memory < 8_000_000


def test_a_file_over_every_limit_is_skipped_while_it_arrives(as_alice, monkeypatch):
    monkeypatch.setattr(receive, "MAX_BYTES", 4_000_000)
    response, memory = flood(as_alice, Flood(40_000_000))
    assert response.json()["error"].startswith("flood.csv: The file is larger than 4 MB")
    assert memory < 8_000_000
    assert [(upload.name, upload.size) for upload in Upload.objects.all()] == [("books.csv", len(ROWS))]
    assert [path.stat().st_size for path in stored()] == [len(ROWS)]


class Unread(io.RawIOBase):
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")


def test_the_body_of_an_anonymous_upload_is_not_read(client):
    body = {"CONTENT_TYPE": "multipart/form-data; boundary=x", "CONTENT_LENGTH": 10**9, "wsgi.input": Unread()}
    assert client.generic("POST", UPLOAD, **body).url == "/accounts/login/"
    assert client.generic("POST", UPLOAD, headers=JSON, **body).status_code == 403


def test_a_form_without_csrf_token_uploads_nothing(alice):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert send(browser, table()).status_code == 403
    assert is_empty()


def test_the_csrf_token_may_be_a_field_or_a_header(alice):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    token = str(browser.get("/").context["csrf_token"])
    with_field = browser.post(UPLOAD, {"csrfmiddlewaretoken": token, "file": table()})
    assert with_field.status_code == 302
    assert send(browser, table(), headers=JSON | {"X-CSRFToken": token}).status_code == 201


def test_a_get_request_uploads_nothing(as_alice):
    assert as_alice.get(UPLOAD).status_code == 405


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\books.csv", "books.csv"),
        ("bo\u202eoks.csv", "books.csv"),
        ("x" * 300 + ".csv", "x" * 251 + ".csv"),
        ("Bücher „neu“.csv", "Bücher „neu“.csv"),
        ("<b>.csv", "<b>.csv"),
    ],
)
def test_a_file_name_is_never_used_as_a_path(as_alice, sent, kept):
    body = part_of_form(sent, ROWS) + b"\r\n--x--\r\n"
    as_alice.generic("POST", UPLOAD, body, "multipart/form-data; boundary=x")
    upload = Upload.objects.get()
    assert upload.name == kept
    assert upload.file.endswith("/source")
    assert stored() == [Path(default_storage.path(upload.file))]


def test_an_error_after_the_file_is_stored_deletes_it(as_alice, monkeypatch):
    monkeypatch.setitem(receive.TASK_BY_KIND, Upload.Kind.CSV, "workers.nowhere.tasks.unknown")
    as_alice.raise_request_exception = False
    assert send(as_alice, table()).status_code == 500
    assert is_empty()


def test_an_error_between_job_and_upload_rolls_both_back(as_alice, monkeypatch, broker):
    monkeypatch.setattr(Upload._meta.get_field("kind"), "get_prep_value", lambda value: "x" * 100)
    as_alice.raise_request_exception = False
    assert send(as_alice, table()).status_code == 500
    assert is_empty()
    assert broker.llen("imports") == 0


def test_an_upload_is_kept_while_the_broker_is_full(as_alice, broker):
    broker.config_set("maxmemory", 1)
    try:
        assert send(as_alice, table(), headers=JSON).status_code == 201
    finally:
        broker.config_set("maxmemory", 0)
    assert (Job.objects.get().dispatched_at, len(stored())) == (None, 1)


def test_an_upload_is_kept_while_the_broker_is_away(as_alice):
    with unreachable_broker():
        response = send(as_alice, table(), headers=JSON)
    assert response.status_code == 201
    assert (Job.objects.get().state, Job.objects.get().dispatched_at) == ("queued", None)
    assert as_alice.get(response.json()["page"]).status_code == 200
    assert len(stored()) == 1
