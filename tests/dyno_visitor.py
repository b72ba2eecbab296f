"""A visitor of a site on dynos: signs up, uploads, polls and downloads, through the platform's router."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from devtools.processes import DEADLINE_SECONDS, wait_until
from devtools.visitor import Visitor
from tests.browsing import PASSWORD
from tests.dynos import Platform

HOST = "media.example.com"
OVER_TLS = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7", "Referer": f"https://{HOST}/"}
FORM = "application/x-www-form-urlencoded"


class DynoVisitor(Visitor):
    """Each request goes to the web dyno that runs at the moment."""

    def __init__(self, platform: Platform, name: str) -> None:
        super().__init__(platform.dynos["web"].port, **OVER_TLS)
        self.platform, self.name, self.address = platform, name, f"{name}@example.com"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.platform.dynos['web'].port}{path.removeprefix(f'https://{HOST}')}"

    def wait_for_site(self) -> None:
        """Returns once the web dyno listens."""

        def answers() -> bool:
            try:
                return self.request("GET", "/healthz").status == 200
            except urllib3.exceptions.HTTPError:
                return False

        wait_until(answers, "the web dyno")

    def submit_form(self, path: str, **fields: str) -> str:
        """Opens the form at the path, and sends it. Returns the URL of the redirect."""
        self.request("GET", path)
        answer = self.request("POST", path, fields=fields)
        assert answer.status == 302, f"{path}: {answer.status} {answer.data[-2000:]!r}"
        return answer.headers["Location"]

    @contextmanager
    def submitting_form_slowly(self, path: str, **fields: str) -> Iterator[Callable[[], bytes]]:
        """Sends all of a form but its last byte. The yielded function sends that, and returns the status line.

        The web dyno is processing the request meanwhile: it has answered 100 Continue.
        """
        self.request("GET", path)
        body = urlencode(fields).encode()
        headers = self.request_headers() | {
            "Content-Type": FORM,
            "Content-Length": str(len(body)),
            "Expect": "100-continue",
        }
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with (
            socket.create_connection(("127.0.0.1", self.platform.dynos["web"].port), DEADLINE_SECONDS) as connection,
            connection.makefile("rb") as lines,
        ):

            def send_last_byte() -> bytes:
                connection.sendall(body[-1:])
                return lines.readline()

            connection.sendall(f"{head}\r\n".encode())
            assert lines.readline().startswith(b"HTTP/1.1 100 "), "no 100 Continue"
            lines.readline()
            connection.sendall(body[:-1])
            yield send_last_byte

    def sign_up(self) -> None:
        secret = {"password1": PASSWORD, "password2": PASSWORD}
        assert self.submit_form("/accounts/signup/", username=self.name, email=self.address, **secret) == "/"

    def log_in(self, password: str) -> None:
        self.cookies.clear()
        assert self.submit_form("/accounts/login/", username=self.name, password=password) == "/"

    def upload(self, file: Path) -> str:
        """Sends a file straight to the bucket, as the page's script does. Returns the path of its job."""
        data = file.read_bytes()
        opened = self.post_json("/uploads/open/", name=file.name, size=str(len(data)))
        if "form" in opened:
            fields = opened["form"]["fields"] | {"file": (file.name, data)}
            self.send_to_storage("POST", opened["form"]["url"], fields=fields)
        else:
            size = opened["parts"]["size"]
            for number, start in enumerate(range(0, len(data), size), 1):
                url = self.post_json(opened["parts"]["sign"], number=str(number))["url"]
                self.send_to_storage("PUT", url, body=data[start : start + size])
        return self.post_json(opened["close"])["page"]

    def post_json(self, path: str, **fields: str) -> dict[str, Any]:
        """A request of a program. Returns the JSON of the answer."""
        answer = self.request("POST", path, fields=fields, headers={"Accept": "application/json"})
        assert answer.status < 300, f"{path}: {answer.status} {answer.data!r}"
        return answer.json()

    def send_to_storage(self, method: str, url: str, **options: Any) -> None:
        """A request to the storage, without the site's cookies."""
        answer = self.http.request(method, url, **options)
        assert answer.status < 300, f"{url}: {answer.status} {answer.data!r}"

    def download(self, path: str) -> bytes:
        """A result of a job, from the site or by its redirect to the storage."""
        answer = self.request("GET", path)
        if answer.status == 302:
            answer = self.http.request("GET", answer.headers["Location"])
        assert answer.status == 200, f"{path}: {answer.status} {answer.data[-2000:]!r}"
        return answer.data

    def read_state(self, job: str) -> Mapping[str, Any]:
        """The state that the page of a job polls."""
        answer = self.request("GET", f"{job}progress.json")
        assert answer.status == 200, f"{job}: {answer.status} {answer.data[-2000:]!r}"
        return answer.json()

    def wait_until_done(self, job: str) -> Mapping[str, Any]:
        """Polls a job until it is done. Returns its result."""
        wait_until(lambda: self.read_state(job)["state"] not in ("queued", "running"), f"the end of {job}")
        state = self.read_state(job)
        assert state["state"] == "done", state
        return state["result"]
