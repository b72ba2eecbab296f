"""A mail server that keeps what it is given, and that can be slow to say its first word."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage


class Session(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to hand over a mail."""

    server: "MailServer"

    def handle(self) -> None:
        self.server.called.set()
        self.server.speaks.wait()
        with suppress(ConnectionError):  # whoever called may be gone by now
            self.talk()

    def talk(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline():
            match line[:4].upper():
                case b"DATA":
                    self.say("354 go on")
                    self.server.keep(self.read_mail())
                    self.say("250 kept")
                case b"QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 fine")

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())

    def read_mail(self) -> bytes:
        lines = iter(self.rfile.readline, b".\r\n")
        return b"".join(line.removeprefix(b".") for line in lines)


class MailServer(socketserver.ThreadingTCPServer):
    """On a port of its own. Whoever calls waits while `speaks` is not set; `called` is set when somebody has."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.url = f"smtp://127.0.0.1:{self.server_address[1]}"
        self.called, self.speaks = threading.Event(), threading.Event()
        self.speaks.set()
        self._mails: list[EmailMessage] = []

    def hesitate(self) -> None:
        """Whoever calls from now on waits for a word, until `speaks` is set."""
        self.called.clear()
        self.speaks.clear()

    def keep(self, mail: bytes) -> None:
        self._mails.append(message_from_bytes(mail, policy=policy.default))

    def mails_to(self, address: str) -> list[str]:
        """The plain text of each mail to somebody, the oldest first."""
        mine = [mail for mail in self._mails if mail["To"] == address]
        return [mail.get_body(("plain",)).get_content() for mail in mine]


@contextmanager
def listening() -> Iterator[MailServer]:
    """Such a server, while the block runs."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.speaks.set()
        server.shutdown()
        thread.join()
