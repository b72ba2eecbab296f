"""A platform probes liveness and readiness, and an uptime monitor the practices."""

from datetime import timedelta
from threading import Event

import pytest
from django.test import Client
from django.utils import timezone
from django_redis import get_redis_connection

from mediaapp.operations.findings import read_board
from tests.outages import make_unreachable, unreachable_broker, unreachable_database
from workers import deadline
from workers.models import Deploy, Incident, PracticeState
from workers.practices.registry import PRACTICES

pytestmark = pytest.mark.django_db
TOKEN = "a token that an uptime monitor sends"


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
        monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 30)  # of the probe itself, on a busy machine
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


@pytest.fixture
def monitor(client, settings) -> Client:
    """A program with the token."""
    settings.METRICS_TOKEN = TOKEN
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return client


def measured(seconds_ago: float = 0, for_seconds: float = 120, **failing: bool | None) -> None:
    """failing: `ok` by a practice's slug with _ for blanks, which is so for so many seconds."""
    now = timezone.now()
    for practice in PRACTICES:
        ok = failing.get(practice.title.lower().replace(" ", "_"), True)
        fields = {"ok": ok, "reason": "" if ok else f"{practice.title} is broken.", "since": now}
        PracticeState.objects.create(number=practice.number, measured_at=now - timedelta(seconds=seconds_ago), **fields)
        if not ok:
            began = now - timedelta(seconds=for_seconds)
            Incident.objects.create(number=practice.number, ok=ok, seen_at=now, began_at=began, watched_since=began)


def test_the_practices_are_200_while_all_hold(monitor):
    measured()
    response = monitor.get("/healthz/practices")
    assert (response.status_code, response.json()["status"], response.json()["failing"]) == (200, "ok", {})


def test_the_practices_are_503_with_the_names_of_those_that_fail_or_are_unknown(monitor):
    measured(backlog=False, broker_memory=None)
    response = monitor.get("/healthz/practices")
    assert (response.status_code, response.json()["status"]) == (503, "failing")
    assert response.json()["failing"] == {"Broker memory": "Broker memory is broken.", "Backlog": "Backlog is broken."}


def test_what_fails_for_a_moment_is_named_and_rings_nobody(monitor):
    measured(for_seconds=119, backlog=False)
    response = monitor.get("/healthz/practices")
    assert (response.status_code, response.json()["status"], response.json()["failing"]) == (200, "ok", {})
    assert response.json()["young"] == {"Backlog": "Backlog is broken."}


def test_a_deploy_rings_nobody_unless_its_alarm_was_raised_before(monitor):
    measured(backlog=False, locks=False)
    Deploy.objects.create(release="v43", began_at=timezone.now() - timedelta(seconds=60))
    assert monitor.get("/healthz/practices").json()["young"].keys() == {"Backlog", "Locks"}
    Incident.objects.filter(number=2).update(alerted_at=timezone.now())
    response = monitor.get("/healthz/practices")
    assert (response.status_code, response.json()["failing"].keys()) == (503, {"Locks"})


def test_a_practice_without_an_alarm_rings_nobody(monitor, settings):
    settings.ALERT_AFTER_SECONDS = settings.ALERT_AFTER_SECONDS | {8: 0}
    measured(for_seconds=9999, backlog=False)
    assert monitor.get("/healthz/practices").status_code == 200


def test_the_practices_are_503_while_nobody_measures_them(monitor):
    assert monitor.get("/healthz/practices").status_code == 503
    measured(seconds_ago=61)
    response = monitor.get("/healthz/practices")
    assert (response.status_code, response.json()["status"]) == (503, "monitor silent")
    PracticeState.objects.filter(number=1).update(measured_at=timezone.now())  # a claim alone is no measurement
    assert monitor.get("/healthz/practices").status_code == 503


def test_what_another_release_measured_makes_no_monitor_silent(monitor):
    """A rollback leaves the row of a practice that it does not have."""
    long_ago = timezone.now() - timedelta(days=1)
    measured()
    PracticeState.objects.create(number=len(PRACTICES) + 1, ok=False, since=long_ago, measured_at=long_ago)
    assert monitor.get("/healthz/practices").json()["status"] == "ok"
    assert not read_board().is_live


@pytest.mark.django_db(transaction=True)
def test_the_practices_are_503_without_the_database(monitor):
    with unreachable_database("127.0.0.1:1"):
        response = monitor.get("/healthz/practices")
    assert (response.status_code, response.json()["status"]) == (503, "database away")


@pytest.mark.parametrize("header", ["", TOKEN, f"Bearer {TOKEN}x", "Bearer ", "Bearer", f"Basic {TOKEN}", "Bearer ä"])
def test_nobody_else_sees_the_practices_and_nobody_is_sent_to_the_login(client, settings, as_alice, header):
    """A monitor that follows the redirect would take the login page for a healthy site."""
    settings.METRICS_TOKEN = TOKEN
    given = {"HTTP_AUTHORIZATION": header} if header else {}
    assert [each.get("/healthz/practices", **given).status_code for each in (client, as_alice)] == [404, 404]


def test_an_empty_token_opens_nothing(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/healthz/practices", HTTP_AUTHORIZATION="Bearer ").status_code == 404


def test_staff_see_the_practices_too(as_stella):
    measured()
    assert as_stella.get("/healthz/practices").status_code == 200
