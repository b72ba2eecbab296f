"""Headers and cookies by which a browser protects the people who use the site."""

from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import pytest

from devtools.visitor import Visitor
from mediaapp.models import User
from tests.factories import State, running_upload_of, upload_of
from tests.web import give_password, serving

HOST = "media.example.com"
BY_TLS = {"Host": HOST, "X-Forwarded-Proto": "https", "Referer": f"https://{HOST}/"}


class CookieJar(Visitor):
    """A visitor that keeps the attributes of all cookies, too."""

    set_cookies: dict[str, Morsel]

    def request(self, method: str, path: str, **options):
        answer = super().request(method, path, **options)
        for cookie in answer.headers.getlist("Set-Cookie"):
            self.set_cookies |= SimpleCookie(cookie)
        return answer


@pytest.mark.parametrize("page", ["/", "/accounts/login/", "/admin/"])
def test_a_page_may_ask_for_no_camera_and_run_no_script_of_others(client, stella, page):
    stella.is_superuser = True
    stella.save()
    client.force_login(stella)
    response = client.get(page, follow=True)
    policy = response.headers["Permissions-Policy"]
    assert {"camera=()", "microphone=()", "geolocation=()", "fullscreen=(self)"} <= set(policy.split(", "))
    content = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'self'", "object-src 'none'", "frame-ancestors 'none'"} <= set(content)
    assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_by_tls_every_cookie_is_of_this_host_alone(transactional_db, tmp_path: Path):
    alice = User.objects.create_user("alice", "alice@example.com")
    give_password(alice, "a long enough secret")
    ended, running = upload_of(alice, State.DONE), running_upload_of(alice)
    with serving(tmp_path, SITE_URL=f"https://{HOST}", ALLOWED_HOSTS=f"{HOST},127.0.0.1") as site:
        visitor = CookieJar(site.port, **BY_TLS)
        visitor.set_cookies = {}
        visitor.post("/accounts/login/", username="alice", password="a long enough secret")
        assert visitor.get(f"/jobs/{running.pk}/").status == 200
        assert visitor.request("GET", f"/jobs/{running.pk}/progress.json").json()["done"] == 5
        visitor.request("POST", f"/jobs/{ended.pk}/cancel/")
    names = {f"__Host-{name}" for name in ("sessionid", "csrftoken", "browser", "viewer", "messages")}
    assert visitor.set_cookies.keys() == names
    for cookie in visitor.set_cookies.values():
        assert (bool(cookie["secure"]), cookie["path"], cookie["domain"], cookie["samesite"]) == (True, "/", "", "Lax")
        assert cookie["httponly"] or cookie.key == "__Host-csrftoken"
