"""The web server hangs up on clients that are silent for too long, so that sockets and memory are bounded."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.attackers import HALF_HEADER, NO_BODY, UPLOAD_BYTES, Attacker, cookie_header, slow_uploads
from devtools.processes import DEADLINE_SECONDS, Web, wait_until
from mediaapp.gateway.application import TOO_SLOW_MESSAGE
from mediaapp.models import Upload, User
from tests.conftest import signed_in
from tests.factories import State, add_file, upload_of
from tests.web import serving_timed

pytestmark = pytest.mark.django_db(transaction=True)
FILE_BYTES = 20_000_000  # more than the sockets' buffers hold


@pytest.fixture
def web(alice: User, tmp_path: Path) -> Iterator[Web]:
    with serving_timed(tmp_path) as web:
        yield web


def cookies_of(user: User) -> dict[str, str]:
    return {name: each.value for name, each in signed_in(user).cookies.items()} | {"csrftoken": "x" * 32}


def all_that_is_sent(port: int, request: bytes) -> bytes:
    """Until the server hangs up. Raises TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def wait_for_line(web: Web, pattern: str) -> str:
    wait_until(lambda: re.search(pattern, web.log.read_text()), f"{pattern} in the log")
    return re.search(pattern, web.log.read_text())[0]


def test_half_a_header_is_not_waited_for(web):
    assert all_that_is_sent(web.port, HALF_HEADER) == b""


def test_a_kept_connection_without_a_second_request_ends(web):
    assert all_that_is_sent(web.port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").endswith(b"\r\n\r\nok")


def test_a_form_whose_body_does_not_come_is_told_so(web):
    answer = all_that_is_sent(web.port, NO_BODY)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(TOO_SLOW_MESSAGE.encode())
    wait_for_line(web, r"request_answered method=POST path='/accounts/login/' status=408")


def test_an_upload_that_stops_leaves_nothing(web, alice):
    (upload,) = slow_uploads(1, cookies_of(alice))
    assert all_that_is_sent(web.port, upload.start + upload.piece).startswith(b"HTTP/1.1 408 ")
    assert not Upload.objects.exists()


def test_a_client_that_hangs_up_is_logged_as_gone(web, alice):
    (upload,) = slow_uploads(1, cookies_of(alice))
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(upload.start)
    wait_for_line(web, "method=POST path='/uploads/' status=499 bytes=0")
    assert not Upload.objects.exists()


def test_a_client_that_stops_reading_its_download_is_not_waited_for(web, alice):
    upload = upload_of(alice, State.DONE)
    add_file(upload, "video.mp4", bytes(FILE_BYTES))
    path = f"/jobs/{upload.pk}/video.mp4"
    reader = Attacker(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie_header(cookies_of(alice))}\r\n\r\n".encode()
    )
    with closing(reader.connect(web.port)):
        line = wait_for_line(web, rf"method=GET path='{path}' status=490 bytes=\d+")
        assert int(line.rpartition("=")[2]) < FILE_BYTES
        wait_until(lambda: not reader.is_connected(), "the end of the connection")
    log = web.log.read_text()
    assert ("Traceback" in log, "ERROR" in log) == (False, False), log


def test_a_slow_upload_that_goes_on_is_waited_for(tmp_path, alice):
    """Longer than the server waits for a client, piece by piece. A machine that stands for a moment is no silence."""
    table = b"external_id,title\n" + b"a,b\n" * 500
    (upload,) = slow_uploads(1, cookies_of(alice))
    head, _, start = upload.start.partition(b"\r\n\r\n")
    body = start + table + b"\r\n--x--\r\n"
    head = head.replace(str(UPLOAD_BYTES).encode(), str(len(body)).encode())
    with (
        serving_timed(tmp_path, silent_seconds=6) as web,
        socket.create_connection(("127.0.0.1", web.port), timeout=DEADLINE_SECONDS) as client,
    ):
        client.sendall(head + b"\r\n\r\n")
        for position in range(0, len(body), 500):
            client.sendall(body[position : position + 500])
            time.sleep(1.5)
        assert client.recv(12) == b"HTTP/1.1 201"
    assert Upload.objects.get().size == len(table)
