"""Slow clients hold sockets: silent ones, slow uploads, slow readers. Everybody else is answered meanwhile."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from django.conf import settings as site_settings

from bench import attackers
from bench.slow_clients import memory
from devtools.caddy import caddy
from devtools.processes import Web, wait_until
from devtools.visitor import Visitor
from mediaapp.models import Upload, User
from tests.factories import State, add_file, running_upload_of, upload_of
from tests.web import give_password, serving

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "staple tractor violin"
MANY = 5 * site_settings.WEB_THREADS  # of each kind
STRANGERS = 100
FILE_BYTES = 20_000_000  # more than the sockets' buffers hold


@pytest.fixture
def running(alice: User) -> Upload:
    give_password(alice, PASSWORD)
    return running_upload_of(alice)


@pytest.fixture
def web(running: Upload, tmp_path: Path) -> Iterator[Web]:
    tries = {"TRIES_PER_ADDRESS": "100/1m", "TRIES_PER_CLIENT": "100/1m"}
    with serving(tmp_path, WEB_CONCURRENCY="1", **tries) as web:
        yield web


def logged_in(port: int) -> Visitor:
    visitor = Visitor(port)
    assert visitor.post("/accounts/login/", username="alice", password=PASSWORD).status == 200
    assert "sessionid" in visitor.cookies
    return visitor


def assert_everybody_is_answered(port: int, running: Upload) -> None:
    assert Visitor(port).get("/healthz").data == b"ok"
    answer = logged_in(port).get(f"/jobs/{running.pk}/progress.json")
    assert b"transcoding" in answer.data


@pytest.mark.parametrize("way", ["bare", "behind the proxy"])
def test_silent_clients_and_slow_uploads_keep_nobody_out(way, web, running):
    """In this order: the attackers still hold all their sockets when everybody else has been answered."""
    with ExitStack() as stack:
        port = web.port if way == "bare" else stack.enter_context(caddy(web.port))
        uploads = attackers.slow_uploads(MANY, logged_in(port).cookies)
        silent = attackers.half_headers(MANY), attackers.forms_without_body(MANY)

        def were_all_connected_meanwhile() -> bool:
            """The server may hang up on one of them on a busy machine. Then the round does not count."""
            with attackers.attacking(port, *silent, uploads) as attack:
                assert_everybody_is_answered(port, running)
                return all(each.is_connected() for each in attack.attackers) and not attack.closed

        wait_until(were_all_connected_meanwhile, "a round in which all attackers stayed connected")


def test_clients_that_do_not_read_their_download_keep_nobody_out(web, alice, running):
    upload = upload_of(alice, State.DONE)
    add_file(upload, "video.mp4", bytes(FILE_BYTES))
    visitor = logged_in(web.port)
    assert len(visitor.get(f"/jobs/{upload.pk}/video.mp4").data) == FILE_BYTES
    cookies = attackers.cookie_header(visitor.cookies)
    request = f"GET /jobs/{upload.pk}/video.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n"

    def were_all_connected_meanwhile() -> bool:
        """In this order: had anybody waited for the readers, the server would have given up on these.

        On a busy machine it may do so anyway. Then the round does not count.
        """
        before, readers = len(ended_downloads(web)), [attackers.Attacker(request.encode()) for _ in range(MANY)]
        try:
            for each in readers:
                each.connect(web.port)
            for each in readers:
                wait_until(lambda each=each: has_begun(each.connection), "the beginning of each download")
            assert_everybody_is_answered(web.port, running)
            return "490" not in ended_downloads(web)[before:] and all(each.is_connected() for each in readers)
        finally:
            for each in readers:
                each.disconnect()
            wait_until(lambda: len(ended_downloads(web)) >= before + MANY, "the end of the downloads")

    wait_until(were_all_connected_meanwhile, "a round in which all readers stayed connected")


def ended_downloads(web: Web) -> list[str]:
    """The status of each."""
    return re.findall(r"video\.mp4' status=(\d+)", web.log.read_text())


def has_begun(reader: socket.socket) -> bool:
    try:
        return reader.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
    except BlockingIOError:
        return False
    except ConnectionError:  # begun and given up
        return True


def processes(web: Web) -> list[psutil.Process]:
    main = psutil.Process(web.process.pid)
    return [main, *main.children(recursive=True)]


def bytes_of_open_files(web: Web, folder: Path) -> int:
    """Of files without a name, too."""
    paths = [Path(f"/proc/{each.pid}/fd") for each in processes(web)]
    size = 0
    for file in [file for path in paths for file in path.iterdir()]:
        with suppress(FileNotFoundError):  # closed meanwhile
            size += file.stat().st_size if str(file.readlink()).startswith(str(folder)) else 0
    return size


def unread_bytes(port: int) -> int:
    """What waits in the kernel for the server to read it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].partition(":")[2], 16) for row in rows if row[1].endswith(f":{port:04X}"))


def test_half_bodies_of_strangers_fill_neither_memory_nor_disk(web):
    visitor, folder = logged_in(web.port), site_settings.MEDIA_ROOT / "incoming"
    before, added = memory(web.process.pid), []

    def were_all_connected_meanwhile() -> bool:
        with attackers.attacking(web.port, attackers.half_forms(STRANGERS)) as attack:
            wait_until(lambda: not unread_bytes(web.port), "the server to have read all that was sent")
            assert Visitor(web.port).get("/healthz").data == b"ok"
            added.append(memory(web.process.pid) - before)
            assert bytes_of_open_files(web, folder) == 0
            return all(each.is_connected() for each in attack.attackers) and not attack.closed

    wait_until(were_all_connected_meanwhile, "a round in which all strangers stayed connected")
    assert added[-1] < STRANGERS * attackers.ALMOST_ALL / 1e6 / 2
    (upload,) = attackers.slow_uploads(1, visitor.cookies)
    upload.piece *= 100
    with attackers.attacking(web.port, [upload]):
        wait_until(lambda: bytes_of_open_files(web, folder), "a user's upload to be stored")
