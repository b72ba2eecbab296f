"""An HTTP server that keeps what it is sent and answers with a chosen status."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Received:
    """at: time.monotonic()."""

    method: str
    path: str
    headers: Message
    body: bytes
    at: float = field(default_factory=time.monotonic)


class Handler(BaseHTTPRequestHandler):
    server: "HttpReceiver"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append(Received(self.command, self.path, self.headers, body))
        self.send_response(self.server.status)
        if self.server.redirect_to:
            self.send_header("Location", self.server.redirect_to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer  # noqa: N815 - their names in the standard library

    def log_message(self, *_: object) -> None:
        """Nothing."""


class HttpReceiver(ThreadingHTTPServer):
    """redirect_to: the Location of its answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.status, self.redirect_to = 200, ""
        self.received: list[Received] = []


@contextmanager
def fresh_http_receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
