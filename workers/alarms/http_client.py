"""One short HTTP request that follows no redirect: a signature must not reach the target of one."""

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 5  # to connect, and for each answer


class RequestRejectedError(Exception):
    """The server answered with another status than 2xx."""


def request(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> None:
    """Raises RequestRejectedError, HTTPException, OSError."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    with closing(kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, path, body, {"User-Agent": "mediaapp", **headers})
        status = connection.getresponse().status
    if not 200 <= status < 300:
        raise RequestRejectedError(f"status {status}")
