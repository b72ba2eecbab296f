"""One short HTTP request that follows no redirect: a signature must not reach the target of one."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPSConnection
from threading import Timer
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 5  # to connect, to send, and for the whole answer


class RequestRejectedError(Exception):
    """The server answered with another status than 2xx."""


def request(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> None:
    """Raises RequestRejectedError, HTTPException, OSError."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    with closing(kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, path, body, {"User-Agent": "mediaapp", **headers})
        with _ended_after(TIMEOUT_SECONDS, connection.sock):
            status = connection.getresponse().status
    if not 200 <= status < 300:
        raise RequestRejectedError(f"status {status}")


@contextmanager
def _ended_after(seconds: float, sock: socket.socket) -> Iterator[None]:
    """The socket's own timeout is for each read: a server that sends byte by byte would never reach it."""

    def end() -> None:
        with suppress(OSError):  # it is closed
            sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
