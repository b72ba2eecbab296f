"""A page meets a server that is suspended: it keeps its connections, accepts new ones, and answers nothing."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from redis.exceptions import ConnectionError as RedisConnectionError

from devtools.processes import Web, wait_until
from devtools.servers import suspended
from devtools.visitor import Visitor
from mediaapp.models import Upload, User
from tests.conftest import signed_in
from tests.factories import running_upload_of, upload_of
from tests.outages import make_unreachable, running_server
from tests.web import give_password, serving, serving_timed
from workers import cache_breaker, circuit_breaker
from workers.circuit_breaker import CircuitBreaker
from workers.database import base, probe
from workers.models import Job

JSON = {"Accept": "application/json"}
PASSWORD = "a long enough secret"


@pytest.fixture
def request_patience() -> Iterator[None]:
    """What the test itself asks a server is asked as in a web request."""
    token = circuit_breaker.in_request.set(True)
    yield
    circuit_breaker.in_request.reset(token)
    connection.close()  # Django keeps a broken one until the end of a request


@pytest.fixture
def usual_visitor(alice, transactional_db, tmp_path) -> Iterator[Visitor]:
    """Alice's browser at a site of one process. `log` is the site's."""
    give_password(alice, PASSWORD)
    with serving(tmp_path, WEB_CONCURRENCY="1") as site:
        yield visitor_of(site, alice)


@pytest.fixture
def visitor(alice, transactional_db, tmp_path) -> Iterator[Visitor]:
    """As `usual_visitor`, at a site that remembers for the whole test that a server is silent."""
    with serving_timed(tmp_path, silent_seconds=60, away_seconds=600) as site:
        yield visitor_of(site, alice)


def visitor_of(site: Web, user: User) -> Visitor:
    browser = Visitor(site.port)
    browser.log = site.log
    browser.cookies["sessionid"] = signed_in(user).cookies["sessionid"].value
    ask_at_once(browser, "/")  # each thread opens its connections
    return browser


def ask_at_once(browser: Visitor, path: str, count: int = 8) -> set[int]:
    """The statuses of so many requests at one moment."""
    with ThreadPoolExecutor(count) as tabs:
        return {answer.status for answer in tabs.map(lambda _: browser.request("GET", path), range(count))}


def silences(browser: Visitor) -> int:
    """How many requests have waited for a silent server in vain."""
    return browser.log.read_text().count("server_silent")


def test_a_silent_database_is_told_to_each_in_their_own_way(usual_visitor):
    with suspended(running_server("postgres")):
        page = usual_visitor.request("GET", "/")
        form = usual_visitor.request("POST", "/accounts/login/", fields={"username": "alice", "password": PASSWORD})
        program = usual_visitor.request("GET", "/catalogue/", headers=JSON)
        poll = usual_visitor.request("GET", f"/jobs/{Job().pk}/progress.json")
        missing = usual_visitor.request("GET", "/nowhere/")
        assert usual_visitor.request("GET", "/healthz").status == 200
    assert {answer.status for answer in (page, form, program, poll, missing)} == {503}
    assert "One of our servers does not answer" in page.data.decode()
    assert "This page tries again" in page.data.decode()
    assert "Look in your library first" in form.data.decode()
    assert "try again in a minute" in json.loads(program.data)["error"]
    assert json.loads(poll.data).keys() == {"error"}
    assert page.headers["Retry-After"] == "10"
    wait_until(lambda: usual_visitor.request("GET", "/").status == 200, "the site to see that it answers again")


def test_one_request_waits_for_a_silent_database_and_the_next_ones_do_not(visitor):
    with suspended(running_server("postgres")):
        assert ask_at_once(visitor, "/", 1) == {503}
        assert ask_at_once(visitor, "/", 24) == {503}
    assert silences(visitor) == 1


def test_a_library_of_running_jobs_waits_for_a_silent_cache_once(visitor, alice):
    for _ in range(25):
        running_upload_of(alice)
    with suspended(running_server("cache")):
        page = visitor.request("GET", "/")
        assert ask_at_once(visitor, "/", 24) == {200}
    assert (page.status, page.data.decode().count("Running")) == (200, 25)
    assert silences(visitor) == 1
    assert "Traceback" not in visitor.log.read_text()
    assert len([line for line in visitor.log.read_text().splitlines() if " request_answered " not in line]) == 1


def test_a_cache_that_is_down_gets_one_line_in_the_log(settings, monkeypatch, caplog):
    monkeypatch.setattr(cache_breaker, "AWAY_SECONDS", 60)
    monkeypatch.setattr(cache_breaker.CACHE_BREAKER, "_quiet_until", 0)
    make_unreachable(settings, "default")
    assert [cache.get("any") for _ in range(5)] == [None] * 5
    assert [record.message.split()[0] for record in caplog.records] == ["cache_connection_failed"]


def test_an_upload_is_taken_while_the_broker_and_the_locks_are_silent(visitor):
    with suspended(running_server("broker")):
        for _ in range(3):
            file = {"file": ("books.csv", b"external_id,title\n1,The Silent Sea\n")}
            assert visitor.request("POST", "/uploads/", fields=file, headers=JSON).status == 201
    assert Upload.objects.filter(job__dispatched_at=None).count() == 3
    assert visitor.log.read_text().count("job_not_published") == 3
    assert silences(visitor) == 1


@contextmanager
def query_in_other_thread(sql: str) -> Iterator[list]:
    """Runs it with the patience of a task. The block's list has its row afterwards."""
    rows: list = []

    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows.append(cursor.fetchone())
        connection.close()

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(run)
        yield rows
        done.result()


def test_a_task_waits_until_the_database_answers_again(transactional_db):
    with suspended(running_server("postgres")), query_in_other_thread("SELECT 1") as rows:
        assert rows == []
        running_server("postgres").resume()
    assert rows == [(1,)]


def test_a_slow_query_of_a_request_is_no_silence(transactional_db, request_patience, monkeypatch):
    monkeypatch.setattr(base, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(probe, "PROBE_SECONDS", 30)  # each of its probes is answered, on a busy machine too
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1)")
        assert cursor.fetchone() == ("",)


def test_a_query_that_is_too_slow_ends(transactional_db, request_patience, monkeypatch):
    monkeypatch.setattr(base, "SLOW_SECONDS", 0.2)
    with pytest.raises(OperationalError, match=r"more than 0 s"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_transaction_that_meets_silence_writes_nothing(alice, transactional_db, request_patience):
    upload = upload_of(alice)
    with pytest.raises(OperationalError), transaction.atomic():
        Job.objects.filter(pk=upload.pk).update(message="half of it")
        with suspended(running_server("postgres")):
            Job.objects.count()
    circuit_breaker.reset_all()
    connection.close()
    assert Job.objects.get(pk=upload.pk).message == ""


def test_a_breaker_lets_one_caller_try_again(monkeypatch):
    breaker = CircuitBreaker("test", RedisConnectionError)
    monkeypatch.setattr(circuit_breaker, "AWAY_SECONDS", -1)  # the time is over
    with pytest.raises(TimeoutError), breaker.guard(TimeoutError):
        raise TimeoutError
    monkeypatch.setattr(circuit_breaker, "AWAY_SECONDS", 60)
    breaker.check()
    with pytest.raises(RedisConnectionError, match="silent a moment ago"):
        breaker.check()


def test_a_breaker_closes_with_the_first_answer_even_if_it_is_an_error(monkeypatch):
    breaker = CircuitBreaker("test", RedisConnectionError)
    monkeypatch.setattr(circuit_breaker, "AWAY_SECONDS", -1)
    with pytest.raises(TimeoutError), breaker.guard(TimeoutError):
        raise TimeoutError
    with pytest.raises(LookupError), breaker.guard(TimeoutError):
        raise LookupError
    monkeypatch.setattr(circuit_breaker, "AWAY_SECONDS", 60)
    breaker.check()
    breaker.check()
