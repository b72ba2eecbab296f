"""Calls the WSGI application in a thread, and keeps its response for the event loop.

Not public in sentry-sdk 2.75: `_ScopedResponse._response`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO, Any
from wsgiref.types import WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper

from asgiref.wsgi import WsgiToAsgiInstance


@dataclass
class Response:
    """body: of a page. file: the loop sends it. stream: a thread iterates over it. After both: close()."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    file: IO[bytes] | None = None
    stream: Iterable[bytes] | None = None
    close: Callable[[], object] = lambda: None

    def start(self) -> dict[str, Any]:
        return {"type": "http.response.start", "status": self.status, "headers": self.headers}


def plain_response(status: int, message: str) -> Response:
    """After it, the connection ends."""
    content = message.encode()
    length = str(len(content)).encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length), (b"connection", b"close")]
    return Response(status, headers, content)


def build_environ(scope: dict[str, Any], body: IO[bytes]) -> WSGIEnvironment:
    """Of an ASGI scope. Without headers that have a `_`: X_Forwarded_For would be one with X-Forwarded-For."""
    builder: Any = WsgiToAsgiInstance(None)  # type: ignore[no-untyped-call]
    builder.scope = {**scope, "headers": [header for header in scope["headers"] if b"_" not in header[0]]}
    environ: WSGIEnvironment = builder.build_environ(scope, body)
    return environ | {"wsgi.file_wrapper": FileWrapper}


def call(application: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Runs Django's code but for a StreamingHttpResponse, whose rows may take minutes."""
    response = Response()

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        response.status = int(status.split(" ", 1)[0])
        response.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return lambda data: None

    result: Any = application(environ, start_response)
    result = getattr(result, "_response", result)  # Sentry's SDK wraps it
    if isinstance(result, FileWrapper):
        response.file, response.close = result.filelike, result.close
    elif result.streaming:
        response.stream, response.close = result, result.close
    else:
        response.body = b"".join(result)
        result.close()
    return response
