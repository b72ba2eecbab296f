"""The web server and the gateway take a request apart: what it may contain, and how large it may be."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from devtools.processes import DEADLINE_SECONDS, Web
from devtools.visitor import Visitor
from mediaapp.gateway import body
from mediaapp.gateway.application import LOG_IN_MESSAGE, TOO_LARGE_MESSAGE
from mediaapp.gateway.body import LEAST_BYTES_PER_SECOND, MAX_FORM_BYTES, MEMORY_BYTES, Body, ClientGoneError
from mediaapp.gateway.wsgi_call import build_environ
from mediaapp.models import Upload, User
from mediaapp.uploads.receive import max_body_bytes
from tests.web import give_password, serving

PASSWORD = "staple tractor violin"
GET, POST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
JSON = {"Accept": "application/json"}


@pytest.fixture
def web(alice: User, transactional_db: None, tmp_path: Path) -> Iterator[Web]:
    give_password(alice, PASSWORD)
    with serving(tmp_path, WEB_CONCURRENCY="1", MAX_VIDEO_BYTES="2000000", MAX_CSV_BYTES="2000000") as web:
        yield web


# What a proxy and the site could read differently: one of them would take a part of it for another request.
AMBIGUOUS = {
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef": b"400",
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n": b"400",
    POST + b"Content-Length : 5\r\n\r\nabcde": b"400",
    POST + b"Content-Length: -5\r\n\r\n": b"400",
    GET + b"X-Folded: a\r\n b\r\n\r\n": b"400",
    GET + b"X-Nul: a\0b\r\n\r\n": b"400",
    # The chunks say where the body ends, and nothing after it is read as a second request.
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED: b"403",
}
TOO_LARGE = {
    GET + b"X-Long: " + b"a" * 500_000 + b"\r\n\r\n": b"431",
    GET + b"".join(b"X-%d: a\r\n" % each for each in range(200)) + b"\r\n": b"431",
}


def statuses(port: int, request: bytes) -> list[bytes]:
    """Of all answers until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as client:
        client.sendall(request)
        return re.findall(rb"HTTP/1.1 (\d+)", b"".join(iter(lambda: client.recv(65536), b"")))


def test_an_ambiguous_or_too_large_header_gets_one_answer_and_the_connection_ends(web):
    for request, status in (AMBIGUOUS | TOO_LARGE).items():
        assert statuses(web.port, request) == [status], request[:200]
    assert "smuggled" not in web.log.read_text()


def test_two_requests_at_once_get_two_answers_in_order(web):
    second = GET.replace(b"healthz", b"nowhere") + b"Connection: close\r\n\r\n"
    assert statuses(web.port, GET + b"\r\n" + second) == [b"200", b"404"]


def test_a_head_request_gets_headers_only(web):
    answer = Visitor(web.port).request("HEAD", "/healthz")
    assert (answer.status, answer.data) == (200, b"")


def test_what_is_larger_than_its_page_takes_is_refused_with_words(web):
    visitor = Visitor(web.port)
    form = visitor.request("POST", "/accounts/login/", body=b"x" * (MEMORY_BYTES + 1))
    assert (form.status, form.data.decode()) == (413, f"{TOO_LARGE_MESSAGE.format('16 kB')} {LOG_IN_MESSAGE}")
    stranger = visitor.request("POST", "/uploads/", body=b"x" * 5_000_000, headers=JSON)
    assert (stranger.status, stranger.json()) == (403, {"error": "Log in first."})
    visitor.post("/accounts/login/", username="alice", password=PASSWORD)
    form = visitor.request("POST", "/accounts/password_change/", body=b"x" * (MAX_FORM_BYTES + 1))
    assert (form.status, form.data.decode()) == (413, TOO_LARGE_MESSAGE.format("1 MB"))
    form = visitor.request("POST", "/accounts/password_change/", fields={"old_password": "x" * (MAX_FORM_BYTES // 2)})
    assert (form.status, b"incorrect" in form.data) == (200, True)
    upload = visitor.request("POST", "/uploads/", body=b"x" * 5_000_000, headers=JSON)
    assert (upload.status, upload.data.decode()[:40]) == (413, "The request is larger than 3 MB, the mos")
    assert visitor.get("/healthz").status == 200


def test_an_upload_in_chunks_arrives_whole(web):
    """Some programs send no length. The site needs one, and the gateway knows it by then."""
    visitor = Visitor(web.port)
    visitor.post("/accounts/login/", username="alice", password=PASSWORD)
    table = b"external_id,title\n" + b"a,b\n" * 400_000
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\n'
    headers = JSON | {"Content-Type": "multipart/form-data; boundary=x"}
    parts = iter([start, table, b"\r\n--x--\r\n"])
    answer = visitor.request("POST", "/uploads/", body=parts, headers=headers, chunked=True)
    assert answer.status == 201, answer.data
    assert Upload.objects.get().size == len(table)


def receive(messages: list[bytes], limit: int, *, pause: float = 0) -> tuple[Body, BytesIO, int]:
    """What the gateway stores of them, and the most that it stored meanwhile."""
    file, most, rest = BytesIO(), 0, list(messages)

    async def next_message() -> dict:
        nonlocal most
        most = max(most, len(file.getvalue()))
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    async def find_max_bytes() -> int:
        return limit

    received = Body(file, find_max_bytes)
    asyncio.run(received.receive_all(next_message))
    return received, file, most


@pytest.mark.parametrize("size", [1000, 300_000])
def test_of_a_strangers_large_body_nothing_is_stored(size):
    received, file, most = receive([b"x" * size] * 20, 0)
    assert (received.is_too_large, file.getvalue(), most) == (True, b"", 0)


def test_a_body_within_the_limit_is_stored_whole():
    received, file, _ = receive([b"x" * 300_000] * 20, 6_000_000)
    assert (received.is_too_large, received.size, len(file.getvalue())) == (False, 6_000_000, 6_000_000)


def test_few_uploads_at_once_hold_more_than_a_piece_in_memory(monkeypatch):
    """The others write each piece. All give their buffer back, also when their clients hang up."""
    monkeypatch.setattr(body, "LARGE_BUFFERS", 1)
    held = []

    async def upload(hang_up_after: int) -> None:
        async def next_message() -> dict:
            await asyncio.sleep(0)
            held.append(sum(len(each._buffer) for each in bodies))
            kind = "http.request" if received.size < hang_up_after else "http.disconnect"
            return {"type": kind, "body": b"x" * 50_000, "more_body": True}

        async def find_max_bytes() -> int:
            return 10_000_000

        received = Body(BytesIO(), find_max_bytes)
        bodies.append(received)
        with pytest.raises(ClientGoneError):
            await received.receive_all(next_message)
        bodies.remove(received)

    async def upload_all() -> None:
        await asyncio.gather(*(upload(2_000_000) for _ in range(4)))

    bodies: list[Body] = []
    asyncio.run(upload_all())
    assert body.LARGE_WRITE_BYTES * 0.9 < max(held) < body.LARGE_WRITE_BYTES + 3 * (body.WRITE_BYTES + 50_000)
    assert Body.large_buffers == 0


def test_a_body_that_trickles_is_given_up(monkeypatch):
    monkeypatch.setattr(body, "SILENT_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receive([b"x" * (LEAST_BYTES_PER_SECOND // 100)] * 10_000, 0, pause=0.05)
    assert time.monotonic() - began < DEADLINE_SECONDS


def test_a_header_with_an_underscore_is_no_other_header():
    headers = [(b"x_forwarded_for", b"192.0.2.1"), (b"x-forwarded-proto", b"https")]
    scope = {"path": "/", "method": "GET", "query_string": b"", "http_version": "1.1", "headers": headers}
    environ = build_environ(scope, BytesIO())
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"


def test_only_users_may_send_more_than_a_form(transactional_db, as_alice, rf):
    page = rf.post("/accounts/login/").environ
    stranger = rf.post("/uploads/").environ
    user = stranger | {"HTTP_COOKIE": f"sessionid={as_alice.cookies['sessionid'].value}"}
    user_page = page | {"HTTP_COOKIE": user["HTTP_COOKIE"]}
    assert [max_body_bytes(each) for each in (page, stranger, user_page)] == [MEMORY_BYTES, 0, MAX_FORM_BYTES]
    assert max_body_bytes(user) > MAX_FORM_BYTES
