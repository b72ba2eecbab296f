"""A user opens the library."""

import pytest

from tests.cache_commands import cache_commands
from tests.factories import State, running_upload_of, upload_of
from tests.outages import make_unreachable


def names(response) -> list[str]:
    return [upload.name for upload, _ in response.context["rows"]]


def test_the_newest_upload_is_first_and_each_has_its_state(as_alice, alice):
    upload_of(alice, State.DONE, kind="csv")
    upload_of(alice, State.FAILED, message="This file could not be read.")
    running_upload_of(alice)
    response = as_alice.get("/")
    assert [state["state"] for _, state in response.context["rows"]] == ["running", "failed", "done"]
    assert "This file could not be read." in response.content.decode()


def test_a_user_sees_only_their_own_uploads(as_bob, alice, bob, as_stella):
    upload_of(alice, name="of alice.mp4")
    upload_of(bob, name="of bob.mp4")
    assert names(as_bob.get("/")) == ["of bob.mp4"]
    assert names(as_stella.get("/")) == []


def test_a_visitor_is_redirected_to_the_login(client, db):
    assert client.get("/").url == "/accounts/login/?next=/"


@pytest.mark.parametrize(("page", "shown"), [("1", 25), ("2", 1), ("abc", 25), ("-1", 1), ("9" * 30, 1)])
def test_many_uploads_come_in_pages(as_alice, alice, page, shown):
    for _ in range(26):
        upload_of(alice, State.DONE, kind="csv")
    assert len(names(as_alice.get("/", {"page": page}))) == shown


def test_a_page_of_moving_jobs_costs_six_queries_and_one_command_of_the_cache(
    as_alice, alice, django_assert_max_num_queries
):
    for _ in range(6):
        running_upload_of(alice)
        upload_of(alice, State.RUNNING, kind="csv")
        upload_of(alice)
        upload_of(alice, kind="csv")
    upload_of(alice, State.NEEDS_MAPPING, kind="csv")
    as_alice.get("/")
    before = cache_commands()
    with django_assert_max_num_queries(6):
        response = as_alice.get("/")
    assert cache_commands() - before == 1
    states = [state for _, state in response.context["rows"]]
    assert [state["done"] for state in states if state["state"] == "running"] == [0, 5] * 6
    # Six jobs are at work in each of two queues, and the newest row is the first.
    places = [state["queue_position"] for state in states if state["state"] == "queued"]
    assert places == [place for place in range(12, 6, -1) for _ in range(2)]


def test_a_page_of_ended_jobs_costs_no_command_of_the_cache(as_alice, alice, django_assert_max_num_queries):
    upload_of(alice, State.DONE)
    before = cache_commands()
    with django_assert_max_num_queries(5):
        as_alice.get("/")
    assert cache_commands() == before


def test_markup_in_a_name_is_escaped(as_alice, alice):
    upload_of(alice, name="<script>alert(1)</script>.mp4")
    page = as_alice.get("/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_page_works_while_the_cache_is_away(as_alice, alice, settings):
    running_upload_of(alice)
    make_unreachable(settings, "default")
    assert [state["state"] for _, state in as_alice.get("/").context["rows"]] == ["running"]


def test_the_content_security_policy_allows_our_own_files_only(as_alice):
    policy = as_alice.get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
