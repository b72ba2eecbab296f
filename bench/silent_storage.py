"""An S3 server that answers for one file, and keeps every list of a folder waiting: a deletion begins with one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    content: ClassVar[bytes] = b""
    end: ClassVar[threading.Event]

    def do_GET(self) -> None:
        if "?" in self.path:
            self.end.wait()
            self.close_connection = True
            return
        first, last = self.headers.get("Range", f"bytes=0-{len(self.content) - 1}").removeprefix("bytes=").split("-")
        part = self.content[int(first) : int(last) + 1]
        self.send_head(206, len(part))
        if self.command == "GET":
            self.wfile.write(part)

    def do_HEAD(self) -> None:
        self.send_head(200, len(self.content))

    def send_head(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"1"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """stdout is the bench's table."""


@contextmanager
def silent_storage(file: Path) -> Iterator[dict[str, str]]:
    """Yields the environment of a worker that uses it. Every name is that of `file`."""
    Handler.content, Handler.end = file.read_bytes(), threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        keys = {"S3_BUCKET": "bench", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        yield keys | {"S3_ENDPOINT_URL": url, "S3_PUBLIC_URL": url}
        Handler.end.set()
        server.shutdown()
