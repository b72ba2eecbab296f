"""Clients that hold sockets to a site: half a header, a form without its body or its end, uploads that trickle.

One thread serves all of them. Whoever is disconnected comes again, so that the attack goes on.
"""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from devtools.processes import DEADLINE_SECONDS

HALF_HEADER = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
NO_BODY = (
    b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000\r\n\r\n"
)
LARGE_FORM_BYTES, ALMOST_ALL = 995_000, 990_000
PIECE, PAUSE_SECONDS = b"a,row,of,a,table\n" * 60, 1.0  # about 1 kB/s
UPLOAD_BYTES = 100_000_000


@dataclass
class Attacker:
    """start: sent at once. piece: sent once a PAUSE_SECONDS, until the server hangs up."""

    start: bytes
    piece: bytes = b""
    connection: socket.socket | None = None

    def connect(self, port: int) -> socket.socket:
        self.connection = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        self.connection.sendall(self.start)
        self.connection.setblocking(False)
        return self.connection

    def disconnect(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def is_connected(self) -> bool:
        """Throws away what the server sends."""
        try:
            while self.connection and self.connection.recv(65536):
                pass
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


class Attack:
    """closed: how often the server hung up on one of them."""

    def __init__(self, port: int, attackers: Iterable[Attacker]) -> None:
        self.port, self.attackers, self.closed = port, list(attackers), 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def start(self) -> None:
        for each in self.attackers:
            each.connect(self.port)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        for each in self.attackers:
            each.disconnect()

    def _go_on(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS):
            for each in self.attackers:
                with suppress(OSError):
                    if not each.is_connected():
                        self.closed += each.connection is not None
                        each.disconnect()
                        each.connect(self.port)
                    elif each.piece and each.connection:
                        each.connection.send(each.piece)


def half_headers(count: int) -> list[Attacker]:
    return [Attacker(HALF_HEADER) for _ in range(count)]


def forms_without_body(count: int) -> list[Attacker]:
    return [Attacker(NO_BODY) for _ in range(count)]


def half_forms(count: int) -> list[Attacker]:
    """Large forms of strangers, of which the end does not come."""
    head = NO_BODY.replace(b"1000", str(LARGE_FORM_BYTES).encode())
    return [Attacker(head + bytes(ALMOST_ALL)) for _ in range(count)]


def cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def slow_uploads(count: int, cookies: dict[str, str]) -> list[Attacker]:
    """Uploads of the user whose cookies they send."""
    head = (
        "POST /uploads/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Cookie: {cookie_header(cookies)}\r\n"
        f"X-CSRFToken: {cookies.get('csrftoken', '')}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="slow.csv"\r\n\r\n'
    )
    return [Attacker(head.encode(), PIECE) for _ in range(count)]


@contextmanager
def attacking(port: int, *groups: Iterable[Attacker]) -> Iterator[Attack]:
    """All are connected when the block begins."""
    attack = Attack(port, [each for group in groups for each in group])
    attack.start()
    try:
        yield attack
    finally:
        attack.stop()
