"""A network between us and a server: a test cuts it, by hand or after so many bytes of answers, and mends it."""

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread


class Relay(ThreadingTCPServer):
    """passed: bytes of answers so far. cut_at: at how many of them it is cut; heals: for that connection alone."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.target = target
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.passed = 0
        self.cut_at = math.inf
        self.heals = self.is_cut = False

    def handle_error(self, *_: object) -> None:
        """A connection that broke is what this is for."""


class Connection(BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        relay = self.server
        if relay.is_cut:
            return
        with socket.create_connection(relay.target) as there:
            others = {self.request: there, there: self.request}
            while not relay.is_cut:
                for side in select(list(others), [], [], 0.05)[0]:
                    if not (data := side.recv(65536)):
                        return
                    others[side].sendall(data)
                    relay.passed += len(data) if side is there else 0
                if relay.passed >= relay.cut_at:
                    relay.cut_at, relay.is_cut = math.inf, not relay.heals
                    return


@contextmanager
def relaying(target: tuple[str, int]) -> Iterator[Relay]:
    """A relay to this host and port, at an address of its own."""
    with Relay(target) as relay:
        thread = Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            relay.is_cut = True
            relay.shutdown()
            thread.join()
