"""The request id of a click is in the router's header, the site's log and the worker's log."""

import re
import threading

import pytest

from devtools.processes import wait_until
from devtools.visitor import Visitor
from tests.web import serving
from workers import log_context
from workers.deadline import run_with_deadline
from workers.models import Job
from workers.practices import locks

CLICK = "2f6c1d58-5ad5-4c1b-9d6e-6e8c2f3c9a10"  # as Heroku's router makes them
EVERY_LINE = re.compile(r"[A-Z]+ [\w.]+ request=\S+ job=\S+ ")


def test_a_request_id_goes_from_the_router_into_the_workers_log(start, broker, alice, tmp_path):
    start("default")
    with serving(tmp_path, WEB_CONCURRENCY="1") as web:
        answer = Visitor(web.port, **{"X-Request-ID": CLICK}).post("/accounts/password_reset/", email=alice.email)
        assert (answer.status, answer.headers["X-Request-ID"]) == (200, CLICK)
        wait_until(lambda: Job.objects.filter(state=Job.State.DONE), "the mail")
        job = Job.objects.get()
        site, worker = web.log.read_text(), tmp_path / "default0.log"
    assert f"INFO workers.jobs.dispatch request={CLICK} job={job.id} job_published queue=urgent" in site
    answered = "request_answered method=POST path='/accounts/password_reset/' status=302"
    assert f"INFO mediaapp.access request={CLICK} job=- {answered}" in site
    done = f"INFO workers.jobs.attempt request={CLICK} job={job.id} job_finished state=done"
    wait_until(lambda: done in worker.read_text(), "the worker's last line")
    lines = site.splitlines() + worker.read_text().splitlines()
    assert [line for line in lines if line.startswith(("INFO", "WARN", "ERROR")) and not EVERY_LINE.match(line)] == []


def test_a_request_with_a_job_in_its_url_logs_the_job(client, db, caplog):
    job = "0d9f1e0a-3c1c-4d0e-9d5a-1c1f3b1f2a3b"
    client.get(f"/jobs/{job}/")
    assert log_context.job_id.get() == job
    client.get("/healthz")
    assert log_context.job_id.get() == log_context.UNKNOWN


@pytest.mark.parametrize("given", ["", "short", "a" * 201, "x" * 20 + "\r\nINFO forged", "x" * 20 + " y"])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(client, db, given):
    answer = client.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] != given
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_each_request_has_an_id_of_its_own(client, db):
    first, second = (client.get("/healthz").headers["X-Request-ID"] for _ in range(2))
    assert first != second


def test_a_message_sent_outside_a_request_has_no_request_id():
    headers = {}
    log_context.request_id.set(log_context.UNKNOWN)
    log_context.add_request_id(headers)
    assert headers == {}


def test_threads_of_a_request_have_its_id():
    log_context.request_id.set(CLICK)
    assert run_with_deadline({"a": log_context.request_id.get, "b": log_context.request_id.get}) == {
        "a": CLICK,
        "b": CLICK,
    }
    assert (
        run_with_deadline({"name": lambda: threading.current_thread().name})["name"] != threading.current_thread().name
    )


def test_the_thread_that_renews_a_jobs_lock_has_the_jobs_id(monkeypatch):
    said = []
    log_context.job_id.set(log_context.UNKNOWN)  # a request of another test may have left its own
    monkeypatch.setattr(locks, "_renew", lambda *_: said.append(log_context.job_id.get()))
    with log_context.bind_job("a job"), locks.exclusive("anything", lease=30):
        wait_until(lambda: said)
    assert said == ["a job"]
    assert log_context.job_id.get() == log_context.UNKNOWN
