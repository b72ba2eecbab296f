"""What a person's browser does at a platform's router, without the browser: cookies, forms, uploads, polls."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from devtools.processes import DEADLINE_SECONDS, wait_until
from tests.browsing import PASSWORD
from tests.dynos import Platform

HOST = "media.example.com"
OVER_TLS = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7", "Referer": f"https://{HOST}/"}
FORM = "application/x-www-form-urlencoded"


class Visitor:
    """Somebody at the site of a platform; each request goes to the web dyno that runs then."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.platform, self.name, self.address = platform, name, f"{name}@example.com"
        self.cookies = dict[str, str]()
        self.http = urllib3.PoolManager(retries=False, timeout=60)

    def headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return OVER_TLS | {"Cookie": cookies, "X-CSRFToken": self.cookies.get("csrftoken", "")}

    def ask(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        """A request as the router passes it on."""
        url = f"http://127.0.0.1:{self.platform.dynos['web'].port}{path.removeprefix(f'https://{HOST}')}"
        headers = self.headers() | more.pop("headers", {})
        answer = self.http.request(method, url, headers=headers, redirect=False, **more)
        for cookie in answer.headers.getlist("Set-Cookie"):
            self.cookies |= {key: morsel.value for key, morsel in SimpleCookie(cookie).items()}
        return answer

    def wait_for_the_site(self) -> None:
        """Returns once the web dyno listens."""

        def answers() -> bool:
            try:
                return self.ask("GET", "/healthz").status == 200
            except urllib3.exceptions.HTTPError:
                return False

        wait_until(answers, "the web dyno")

    def fill_in(self, path: str, **fields: str) -> str:
        """Sends the form of a page; the address where its answer leads."""
        self.ask("GET", path)
        answer = self.ask("POST", path, fields=fields)
        assert answer.status == 302, f"{path}: {answer.status} {answer.data[-2000:]!r}"
        return answer.headers["Location"]

    @contextmanager
    def filling_in_slowly(self, path: str, **fields: str) -> Iterator[Callable[[], bytes]]:
        """Sends the form of a page but for its last byte. What it yields sends that too: the first line of the answer.

        The web dyno is at work on the request: it has asked for the body.
        """
        self.ask("GET", path)
        body = urlencode(fields).encode()
        headers = self.headers() | {"Content-Type": FORM, "Content-Length": str(len(body)), "Expect": "100-continue"}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with (
            socket.create_connection(("127.0.0.1", self.platform.dynos["web"].port), DEADLINE_SECONDS) as connection,
            connection.makefile("rb") as lines,
        ):

            def send_the_rest() -> bytes:
                connection.sendall(body[-1:])
                return lines.readline()

            connection.sendall(f"{head}\r\n".encode())
            assert lines.readline().startswith(b"HTTP/1.1 100 "), "no word of going on"
            lines.readline()
            connection.sendall(body[:-1])
            yield send_the_rest

    def sign_up(self) -> None:
        secret = {"password1": PASSWORD, "password2": PASSWORD}
        assert self.fill_in("/accounts/signup/", username=self.name, email=self.address, **secret) == "/"

    def log_in(self, password: str) -> None:
        self.cookies.clear()
        assert self.fill_in("/accounts/login/", username=self.name, password=password) == "/"

    def upload(self, file: Path) -> str:
        """Sends a file straight to the bucket, as the page's script does; the path of its job."""
        data = file.read_bytes()
        opened = self.tell("/uploads/open/", name=file.name, size=str(len(data)))
        if "form" in opened:
            fields = opened["form"]["fields"] | {"file": (file.name, data)}
            self.send("POST", opened["form"]["url"], fields=fields)
        else:
            size = opened["parts"]["size"]
            for number, start in enumerate(range(0, len(data), size), 1):
                url = self.tell(opened["parts"]["sign"], number=str(number))["url"]
                self.send("PUT", url, body=data[start : start + size])
        return self.tell(opened["close"])["page"]

    def tell(self, path: str, **fields: str) -> dict[str, Any]:
        """What a program tells the site, and its answer."""
        answer = self.ask("POST", path, fields=fields, headers={"Accept": "application/json"})
        assert answer.status < 300, f"{path}: {answer.status} {answer.data!r}"
        return answer.json()

    def send(self, method: str, url: str, **more: Any) -> None:
        """Something to the storage, which knows nothing of the site's cookies."""
        answer = self.http.request(method, url, **more)
        assert answer.status < 300, f"{url}: {answer.status} {answer.data!r}"

    def download(self, path: str) -> bytes:
        """A file of somebody's own, wherever the site says that it lies."""
        answer = self.ask("GET", path)
        if answer.status == 302:
            answer = self.http.request("GET", answer.headers["Location"])
        assert answer.status == 200, f"{path}: {answer.status} {answer.data[-2000:]!r}"
        return answer.data

    def state(self, job: str) -> Mapping[str, Any]:
        """What the page of a job polls."""
        answer = self.ask("GET", f"{job}progress.json")
        assert answer.status == 200, f"{job}: {answer.status} {answer.data[-2000:]!r}"
        return answer.json()

    def wait_until_done(self, job: str) -> Mapping[str, Any]:
        """Watches a job to its end; its result."""
        wait_until(lambda: self.state(job)["state"] not in ("queued", "running"), f"the end of {job}")
        state = self.state(job)
        assert state["state"] == "done", state
        return state["result"]
