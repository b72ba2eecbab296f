"""What a span adds to a task that does nothing: two of our workers in turns, one of them traced."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from threading import Thread

from bench.contenders import Contender, contender
from bench.rows import Row

NO_OP = "bench.tasks.do_nothing"
SENT_SECONDS = 7  # by when the last spans of a round are sent


def measure(*, quick: bool) -> Iterator[Row]:
    """Of CPU, which the spans that are sent after the last task use, too."""
    count, rounds, pause = (20, 1, 0) if quick else (1000, 9, SENT_SECONDS)
    with collector() as url, contender("config", 4) as plain, contender("config", 5, **traced(url)) as ours:
        for each in (plain, ours):
            each.run_tasks(NO_OP, 20)
        pairs = [(cpu_seconds(plain, count, pause), cpu_seconds(ours, count, pause)) for _ in range(rounds)]
    ratio = median(own / other for other, own in pairs)
    added = median(own - other for other, own in pairs) / count
    yield Row("no-op tasks, CPU of the worker, traced / not", ratio, at_most=1.05, note=f"{added * 1e6:.0f} us a task")


def traced(url: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url}


def cpu_seconds(worker: Contender, count: int, pause: float) -> float:
    before = worker.cpu_seconds()
    worker.run_tasks(NO_OP, count)
    time.sleep(pause)
    return worker.cpu_seconds() - before


@contextmanager
def collector() -> Iterator[str]:
    """Takes everything and reads nothing of it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
