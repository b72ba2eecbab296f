"""A visitor of a running site: a browser without JavaScript."""

from http.cookies import SimpleCookie
from typing import Any

import urllib3

from devtools.processes import DEADLINE_SECONDS

REDIRECTS = (301, 302, 303)


class Visitor:
    """Keeps cookies, and sends the CSRF token with each request. headers: sent with each request, too."""

    def __init__(self, port: int, **headers: str) -> None:
        self.port, self.headers = port, headers
        self.cookies = dict[str, str]()
        self.http = urllib3.PoolManager(retries=False, timeout=DEADLINE_SECONDS)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def request_headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        tokens = [
            value for name, value in self.cookies.items() if name.endswith("csrftoken")
        ]  # __Host-csrftoken by TLS
        return self.headers | {"Cookie": cookies, "X-CSRFToken": "".join(tokens)}

    def request(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """One request to the site. Follows no redirect."""
        headers = self.request_headers() | options.pop("headers", {})
        answer = self.http.request(method, self.url(path), headers=headers, redirect=False, **options)
        for cookie in answer.headers.getlist("Set-Cookie"):
            self.cookies |= {key: morsel.value for key, morsel in SimpleCookie(cookie).items()}
        return answer

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        """The page, after all redirects."""
        answer = self.request("GET", path)
        return self.get(answer.headers["Location"]) if answer.status in REDIRECTS else answer

    def post(self, path: str, **fields: str) -> urllib3.BaseHTTPResponse:
        """Opens the form at the path, and sends it. The page after all redirects."""
        self.get(path)
        answer = self.request("POST", path, fields=fields, encode_multipart=False)
        return self.get(answer.headers["Location"]) if answer.status in REDIRECTS else answer
