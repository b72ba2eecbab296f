"""A platform asks whether the process is up, and whether it can serve."""

from threading import Event

import pytest

from tests.outages import make_unreachable, unreachable_broker
from workers import deadline

pytestmark = pytest.mark.django_db


def test_ready_means_that_everything_answers(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "cache": "ok", "locks": "ok", "broker": "ok", "ready": True}


@pytest.mark.parametrize(("alias", "name"), [("default", "cache"), ("locks", "locks")])
def test_a_server_that_is_away_is_named_and_the_others_are_not(client, settings, alias, name):
    make_unreachable(settings, alias)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert {key for key, value in response.json().items() if value != "ok"} == {name, "ready"}


def test_so_is_the_broker(client):
    with unreachable_broker():
        response = client.get("/readyz")
    assert response.status_code == 503
    assert {key for key, value in response.json().items() if value != "ok"} == {"broker", "ready"}


def test_no_address_and_no_password_of_a_server_is_told(client, settings):
    make_unreachable(settings, "locks")
    told = client.get("/readyz").content.decode()
    assert "127.0.0.1" not in told
    assert "redis:" not in told


def test_alive_needs_nothing_but_the_process(client, settings, django_assert_num_queries):
    make_unreachable(settings, "default")
    make_unreachable(settings, "locks")
    with unreachable_broker(), django_assert_num_queries(0):
        assert client.get("/healthz").content == b"ok"


def test_the_probe_does_not_wait_for_a_page_whose_questions_hang(client, monkeypatch):
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 0.2)
    release, names = Event(), [str(number) for number in range(20)]
    try:
        deadline.run_with_deadline(dict.fromkeys(names, release.wait))
        response = client.get("/readyz")
    finally:
        release.set()
    assert response.json()["ready"]


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_a_probe_speaks_plain_http_where_people_are_sent_to_https(client, settings, page):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(page).status_code == 200
    assert client.get("/accounts/login/").status_code == 301


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_an_answer_is_never_kept(client, page):
    assert "no-store" in client.get(page).headers["Cache-Control"]
