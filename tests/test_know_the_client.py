"""Tries are limited per typed address and per client."""

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory

from mediaapp.rate_limits import TOO_MANY_TRIES_MESSAGE, client_address
from tests.outages import make_unreachable

FORMS = {"/accounts/login/": "username", "/accounts/signup/": "email", "/accounts/password_reset/": "email"}


@pytest.fixture(autouse=True)
def three_tries(settings) -> None:
    settings.TRIES_PER_ADDRESS, settings.TRIES_PER_CLIENT = "3/10m", "5/10m"


@pytest.fixture(params=FORMS)
def page(request, db) -> str:
    return request.param


def try_once(page: str, name: str, client: str = "192.0.2.1", **more: str):
    return Client(REMOTE_ADDR=client).post(page, {FORMS[page]: name} | more)


def test_the_fourth_try_for_one_address_is_refused(page):
    for number in range(3):
        assert try_once(page, "x@example.com", f"192.0.2.{number}").status_code in (200, 302)
    refused = try_once(page, "x@example.com", "192.0.2.9")
    assert refused.status_code == 429
    assert TOO_MANY_TRIES_MESSAGE in refused.content.decode()
    assert try_once(page, "y@example.com", "192.0.2.9").status_code != 429


def test_the_sixth_try_of_one_client_is_refused(page):
    for number in range(5):
        assert try_once(page, f"{number}@example.com").status_code != 429
    assert try_once(page, "6@example.com").status_code == 429
    assert try_once(page, "6@example.com", "192.0.2.2").status_code != 429


@pytest.mark.parametrize("form", [" X@example.com ", "X@EXAMPLE.COM", "\uff58@example.com"])  # a full-width x
def test_variants_of_the_same_letters_share_one_count(page, form):
    for _ in range(3):
        try_once(page, "x@example.com")
    assert try_once(page, form).status_code == 429


def test_each_form_has_its_own_count(db):
    for _ in range(4):
        try_once("/accounts/login/", "x@example.com")
    assert try_once("/accounts/password_reset/", "x@example.com").status_code == 302


def test_a_get_request_is_no_try(page):
    for _ in range(9):
        assert Client().get(page).status_code == 200


def test_a_refused_try_does_not_reveal_whether_the_password_is_right(alice):
    for _ in range(3):
        try_once("/accounts/login/", "alice", password="a guess")
    wrong = try_once("/accounts/login/", "alice", password="a guess")
    right = try_once("/accounts/login/", "alice", password="a long enough secret")
    assert (wrong.status_code, right.status_code) == (429, 429)
    assert wrong.context["form"].errors == right.context["form"].errors == {}
    assert "sessionid" not in right.cookies


def test_clearing_the_cache_resets_no_count(page):
    for _ in range(4):
        try_once(page, "x@example.com")
    cache.clear()
    assert try_once(page, "x@example.com").status_code == 429


@pytest.mark.parametrize("alias", ["locks", "default"])
def test_no_try_is_refused_while_a_server_is_away(page, settings, alias):
    make_unreachable(settings, alias)
    assert try_once(page, "x@example.com").status_code in (200, 302)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        (0, None, "192.0.2.1"),
        (0, "198.51.100.7", "192.0.2.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.1, 198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.1,,198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.1, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, None, "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "unknown", "unknown"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_the_client_address_comes_from_our_own_proxies_only(settings, proxies, forwarded, client):
    settings.PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    assert client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR="192.0.2.1")) == client


def test_a_forged_header_gives_no_more_tries(settings, db):
    settings.PROXIES = 1
    for number in range(6):
        headers = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"}
        answer = Client(headers=headers).post("/accounts/login/", {"username": f"{number}"})
    assert answer.status_code == 429
