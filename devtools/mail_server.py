"""An SMTP server that keeps its mails and can stall before its greeting."""

import socketserver
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from queue import Queue
from threading import Event, Thread


class Session(socketserver.StreamRequestHandler):
    server: "MailServer"

    def handle(self) -> None:
        self.server.connected.set()
        self.server.may_answer.wait()
        with suppress(ConnectionError):  # the client may be gone by now
            self.converse()

    def converse(self) -> None:
        self.reply("220 ready")
        while line := self.rfile.readline():
            match line[:4].upper():
                case b"DATA":
                    self.reply("354 go on")
                    self.server.keep(self.read_mail())
                    self.reply("250 kept")
                case b"QUIT":
                    self.reply("221 bye")
                    return
                case _:
                    self.reply("250 OK")

    def reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def read_mail(self) -> bytes:
        lines = iter(self.rfile.readline, b".\r\n")
        return b"".join(line.removeprefix(b".") for line in lines)


class MailServer(socketserver.ThreadingTCPServer):
    """arrivals: time.monotonic() of each mail.

    Clients wait for the greeting while `may_answer` is not set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.url = f"smtp://127.0.0.1:{self.server_address[1]}"
        self.connected, self.may_answer = Event(), Event()
        self.may_answer.set()
        self.arrivals: Queue[float] = Queue()
        self._mails: list[bytes] = []

    def stall(self) -> None:
        self.connected.clear()
        self.may_answer.clear()

    def keep(self, mail: bytes) -> None:
        self.arrivals.put(time.monotonic())
        self._mails.append(mail)

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(mail, policy=policy.default) for mail in self._mails]

    def mails_to(self, address: str) -> list[str]:
        bodies = [mail.get_body(("plain",)) for mail in self.mails if mail["To"] == address]
        return [body.get_content() for body in bodies if body]


@contextmanager
def fresh_mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()
