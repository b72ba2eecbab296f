"""A TCP relay to a server, whose connections a test can cut: at once, or after a number of bytes."""

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread


class Relay(ThreadingTCPServer):
    """answer_bytes: relayed so far. At `cut_after_bytes` it cuts all connections, or one if `cuts_one_connection`."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.target = target
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.answer_bytes = 0
        self.cut_after_bytes = math.inf
        self.cuts_one_connection = self.is_cut = False

    def handle_error(self, *_: object) -> None:
        """Broken connections are expected."""


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
                    relay.answer_bytes += len(data) if side is there else 0
                if relay.answer_bytes >= relay.cut_after_bytes:
                    relay.cut_after_bytes, relay.is_cut = math.inf, not relay.cuts_one_connection
                    return


@contextmanager
def running_relay(target: tuple[str, int]) -> Iterator[Relay]:
    """A relay to this host and port, at `address`."""
    with Relay(target) as relay:
        thread = Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            relay.is_cut = True
            relay.shutdown()
            thread.join()
