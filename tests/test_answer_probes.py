"""A platform probes liveness and readiness."""

from threading import Event

import pytest
from django_redis import get_redis_connection

from tests.outages import make_unreachable, unreachable_broker
from workers import deadline

pytestmark = pytest.mark.django_db


def test_readiness_is_200_if_all_servers_answer(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "cache": "ok", "locks": "ok", "broker": "ok", "ready": True}


@pytest.mark.parametrize(("alias", "name"), [("default", "cache"), ("locks", "locks")])
def test_readiness_names_the_server_that_is_away(client, settings, alias, name):
    make_unreachable(settings, alias)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert {key for key, value in response.json().items() if value != "ok"} == {name, "ready"}


def test_readiness_names_the_locks_whose_server_is_full(client):
    redis = get_redis_connection("locks")
    limit = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", 1)
    try:
        response = client.get("/readyz")
    finally:
        redis.config_set("maxmemory", limit)
    assert (response.status_code, response.json()["locks"]) == (503, "OutOfMemoryError")
    assert client.get("/readyz").status_code == 200


def test_readiness_names_the_broker_that_is_away(client):
    with unreachable_broker():
        response = client.get("/readyz")
    assert response.status_code == 503
    assert {key for key, value in response.json().items() if value != "ok"} == {"broker", "ready"}


def test_readiness_reveals_no_address_and_no_password(client, settings):
    make_unreachable(settings, "locks")
    answer = client.get("/readyz").content.decode()
    assert "127.0.0.1" not in answer
    assert "redis:" not in answer


def test_liveness_needs_no_server(client, settings, django_assert_num_queries):
    make_unreachable(settings, "default")
    make_unreachable(settings, "locks")
    with unreachable_broker(), django_assert_num_queries(0):
        assert client.get("/healthz").content == b"ok"


def test_readiness_does_not_wait_for_a_page_whose_queries_hang(client, monkeypatch):
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 0.2)
    release, names = Event(), [str(number) for number in range(20)]
    try:
        deadline.run_with_deadline(dict.fromkeys(names, release.wait))
        response = client.get("/readyz")
    finally:
        release.set()
    assert response.json()["ready"]


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_probes_are_not_redirected_to_https(client, settings, page):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(page).status_code == 200
    assert client.get("/accounts/login/").status_code == 301


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_answers_to_probes_are_not_cached(client, page):
    assert "no-store" in client.get(page).headers["Cache-Control"]
