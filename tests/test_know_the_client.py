"""The site knows which client a request comes from."""

import pytest
from django.test import Client, RequestFactory

from mediaapp.clients import client_address


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
    settings.PROXIES, settings.TRIES_PER_CLIENT = 1, "5/10m"
    for number in range(6):
        headers = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"}
        answer = Client(headers=headers).post("/accounts/login/", {"username": f"{number}"})
    assert answer.status_code == 429
