"""The database is silent: who was staff a moment ago reads the runbooks, and programs get answers in their own form."""

from collections.abc import Iterator

import pytest

from devtools.servers import suspended
from devtools.visitor import Visitor
from mediaapp.permissions import STAFF_COOKIE
from tests.conftest import signed_in
from tests.outages import running_server
from tests.web import serving

RUNBOOKS = ("/operations/runbooks/", "/operations/runbooks/silent-server/", "/operations/runbooks/1-broker-memory/")
TOKEN = {"Authorization": "Bearer a token"}
FOR_STAFF = 'href="/operations/runbooks/silent-server/"'


@pytest.fixture
def site(transactional_db, tmp_path) -> Iterator[Visitor]:
    with serving(tmp_path, WEB_CONCURRENCY="1", METRICS_TOKEN="a token") as web:
        yield Visitor(web.port)


def visit(site: Visitor, user, page: str) -> Visitor:
    """The browser of a user who has just seen a page."""
    browser = Visitor(site.port)
    browser.cookies["sessionid"] = signed_in(user).cookies["sessionid"].value
    browser.request("GET", page)
    return browser


def test_staff_read_the_runbooks_and_nobody_else_does(site, alice, stella):
    staff, user = visit(site, stella, "/operations/log/"), visit(site, alice, "/")
    thief = visit(site, alice, "/")
    thief.cookies[STAFF_COOKIE] = staff.cookies[STAFF_COOKIE]  # beside another session
    forger = visit(site, alice, "/")
    forger.cookies[STAFF_COOKIE] = "staff"
    with suspended(running_server("postgres")):
        answers = [staff.request("GET", page) for page in RUNBOOKS]
        refused = [each.request("GET", page) for each in (user, thief, forger) for page in RUNBOOKS]
        others = [staff.request("GET", page) for page in ("/operations/", "/operations/jobs/", "/")]
        programs = [staff.request("GET", page) for page in ("/metrics", "/healthz/practices")]
    assert [each.status for each in answers] == [200] * 3
    assert b"The database did not answer" not in answers[1].data
    assert b"measured for this page" in answers[2].data
    assert b"Log in" not in answers[0].data
    assert {each.status for each in refused + others} == {503}
    assert [FOR_STAFF in each.data.decode() and 'href="/readyz"' in each.data.decode() for each in others] == [True] * 3
    assert not any(FOR_STAFF in each.data.decode() for each in refused)
    assert {(each.status, each.headers["Content-Type"]) for each in programs} == {(503, "text/plain")}


def test_a_program_with_the_token_gets_its_own_form(site):
    assert site.request("GET", "/healthz/practices", headers=TOKEN).status == 503
    with suspended(running_server("postgres")):
        metrics = site.request("GET", "/metrics", headers=TOKEN)
        practices = site.request("GET", "/healthz/practices", headers=TOKEN)
    assert "mediaapp_scrape_errors" in metrics.data.decode()
    assert practices.headers["Content-Type"] == "application/json"
    assert b"database away" in practices.data


def test_a_log_out_ends_it(as_stella, stella):
    as_stella.get("/operations/log/")
    assert as_stella.cookies[STAFF_COOKIE]["httponly"]
    as_stella.post("/accounts/logout/")
    assert as_stella.get("/operations/runbooks/").status_code == 302
