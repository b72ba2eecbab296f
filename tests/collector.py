"""An OTLP/HTTP collector on loopback, which parses what it gets. Silent: it takes connections and answers nothing."""

import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from devtools.processes import wait_until


class Collector:
    """spans: by what they are, with their attributes as a dict."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]

    def wait_for(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.named(name)) >= count, f"{count} spans {name}, not {len(self.named(name))}")
        return self.named(name)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of_resource = read_attributes(resource.resource)
            for scope in resource.scope_spans:
                self.spans += [read_span(span) | {"resource": of_resource} for span in scope.spans]


def read_span(span: Any) -> dict[str, Any]:
    ids = {"trace": span.trace_id.hex(), "id": span.span_id.hex(), "parent": span.parent_span_id.hex()}
    times = {"start": span.start_time_unix_nano, "end": span.end_time_unix_nano}
    links = [link.span_id.hex() for link in span.links]
    status = {"is_error": span.status.code == 2, "message": span.status.message}
    return {"name": span.name, "kind": span.kind, "links": links, **ids, **times, **status, **read_attributes(span)}


def read_attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@contextmanager
def collecting(delay_seconds: float = 600) -> Iterator[tuple[Collector, dict[str, str]]]:
    """The collector, and the environment of a process that sends it its spans: few of them only when it ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield collector, variables(server.server_address[1], delay_seconds)
        server.shutdown()


@contextmanager
def silence() -> Iterator[dict[str, str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield variables(server.getsockname()[1], 0.1)


def variables(port: int, delay_seconds: float) -> dict[str, str]:
    delay = str(int(1_000 * delay_seconds))
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": delay}
