"""A mail server that takes everything, and says when."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

Arrivals = Queue[float]
REPLIES = {b"DATA": b"354 Go on\r\n", b"QUIT": b"221 Bye\r\n"}


class Sink(ThreadingTCPServer):
    """arrivals: the moment, by time.monotonic(), at which each mail was taken."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.arrivals: Arrivals = Queue()


class Conversation(StreamRequestHandler):
    """As much of RFC 5321 as Django's backend speaks."""

    server: Sink

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            self.wfile.write(REPLIES.get(verb, b"250 OK\r\n"))
            if verb == b"DATA":
                for part in self.rfile:
                    if part == b".\r\n":
                        break
                self.server.arrivals.put(time.monotonic())
                self.wfile.write(b"250 OK\r\n")
            elif verb == b"QUIT":
                return


@contextmanager
def mail_sink() -> Iterator[tuple[str, Arrivals]]:
    """Yields the EMAIL_URL of a running one, and its arrivals."""
    with Sink() as sink:
        Thread(target=sink.serve_forever, daemon=True).start()
        try:
            yield f"smtp://127.0.0.1:{sink.server_address[1]}", sink.arrivals
        finally:
            sink.shutdown()
