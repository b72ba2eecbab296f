"""A page or a program polls the progress of a job."""

from copy import copy
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.signing import get_cookie_signer
from django.test import Client
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import wait_until
from devtools.servers import suspended
from mediaapp import permissions, viewers
from mediaapp.views.jobs import poll_seconds
from tests.cache_commands import cache_commands
from tests.conftest import signed_in
from tests.factories import State, pages_of, running_upload_of, upload_of
from tests.outages import UNREACHABLE_URL, make_unreachable, running_server
from workers import circuit_breaker
from workers.models import Job
from workers.practices import progress

KEYS = {"state", "done", "total", "stage", "message", "eta_seconds", "queue_position", "result"}


def open_page(client, upload):
    """Opens the page of a job, which sets the viewer cookie. Returns the URLs of its polls."""
    page, part, json, *_ = pages_of(upload)
    assert client.get(page).status_code == 200
    return part, json


@pytest.mark.parametrize(
    ("state", "job", "expected"),
    [
        (State.QUEUED, {}, {"stage": "Processing is about to start", "queue_position": 1}),
        (State.RUNNING, {}, {"stage": "Processing is about to start", "queue_position": None}),
        (State.DONE, {"result": {"rows": 3}}, {"result": {"rows": 3}}),
        (State.FAILED, {"message": "It has no picture."}, {"message": "It has no picture."}),
        (State.CANCELLED, {"message": "Cancelled."}, {"message": "Cancelled."}),
    ],
)
def test_every_state_has_the_same_keys(as_alice, alice, state, job, expected):
    answer = as_alice.get(pages_of(upload_of(alice, state, **job))[2])
    assert answer.json().keys() >= KEYS
    assert answer.json().items() >= ({"state": state.value, "eta_seconds": None} | expected).items()
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_running_job_returns_its_progress(as_alice, alice):
    state = as_alice.get(pages_of(running_upload_of(alice, 5, 15))[2]).json()
    assert state.keys() >= KEYS
    assert (state["state"], state["done"], state["total"], state["stage"]) == ("running", 5, 15, "transcoding")


def test_a_queued_job_returns_its_position(as_alice, as_bob, alice, bob):
    earlier = timezone.now() - timedelta(minutes=1)
    first, second = upload_of(bob, queued_at=earlier), upload_of(alice)
    upload_of(alice, kind="csv", queued_at=earlier)  # another queue
    assert as_bob.get(pages_of(first)[2]).json()["queue_position"] == 1
    assert as_alice.get(pages_of(second)[2]).json()["queue_position"] == 2


def test_the_job_at_work_counts_in_the_line_before_a_queued_one(as_alice, alice, bob):
    upload_of(bob, State.RUNNING, queued_at=timezone.now() + timedelta(minutes=1))  # as after a retry
    waiting = upload_of(alice)
    page, _, json, *_ = pages_of(waiting)
    assert as_alice.get(json).json()["queue_position"] == 2
    assert "1 file before yours" in as_alice.get(page).content.decode()


@pytest.mark.parametrize("which", [0, 1], ids=["page", "json"])
def test_a_poll_of_a_running_job_costs_no_sql_and_one_command_of_the_cache(
    as_alice, alice, which, django_assert_num_queries
):
    address = open_page(as_alice, running_upload_of(alice))[which]
    as_alice.get(address)
    before = cache_commands()
    with django_assert_num_queries(0):
        answer = as_alice.get(address)
    assert cache_commands() - before == 1
    assert answer.status_code == 200
    assert "transcoding" in answer.content.decode()


def test_a_programs_second_poll_costs_no_sql(as_alice, alice, django_assert_num_queries):
    json = pages_of(running_upload_of(alice))[2]
    as_alice.get(json)
    with django_assert_num_queries(0):
        assert as_alice.get(json).json()["done"] == 5


def test_a_page_that_shows_a_queued_job_gets_the_whole_new_state(as_alice, alice):
    part, _ = open_page(as_alice, running_upload_of(alice))
    answer = as_alice.get(part, {"was": "queued"}, headers={"HX-Request": "true"})
    assert answer.headers["HX-Retarget"] == "#state"
    assert "transcoding" in answer.content.decode()


def test_the_state_of_an_ended_job_comes_from_the_row(as_alice, alice):
    upload = running_upload_of(alice)
    part, json = open_page(as_alice, upload)
    Job.objects.filter(pk=upload.pk).update(
        state=State.FAILED, message="It has no picture.", finished_at=timezone.now()
    )
    progress.clear(upload.pk)
    assert as_alice.get(json).json()["state"] == "failed"
    assert "It has no picture." in as_alice.get(part).content.decode()


def test_a_flushed_cache_loses_the_progress_only(as_alice, alice):
    part, json = open_page(as_alice, running_upload_of(alice))
    get_redis_connection("default").flushall()
    assert as_alice.get(json).json().items() >= {"state": "running", "done": 0}.items()
    assert as_alice.get(part).status_code == 200


def test_polls_work_while_the_cache_is_away(as_alice, alice, settings):
    part, json = open_page(as_alice, running_upload_of(alice))
    make_unreachable(settings, "default")
    assert as_alice.get(json).json()["state"] == "running"
    assert as_alice.get(part).status_code == 200


def test_stale_progress_is_ignored(as_alice, alice):
    upload = running_upload_of(alice)
    _, json = open_page(as_alice, upload)
    key = progress.KEY.format(upload.pk)
    written = cache.get(key)
    cache.set(key, written | {"updated_at": written["updated_at"] - progress.STALE_AFTER - 1})
    Job.objects.filter(pk=upload.pk).update(state=State.QUEUED, message="Its worker died.")
    assert as_alice.get(json).json().items() >= {"state": "queued", "message": "Its worker died."}.items()


def test_a_user_cannot_poll_another_users_job(as_bob, alice, bob):
    open_page(as_bob, running_upload_of(bob))
    hers = running_upload_of(alice)
    assert {as_bob.get(page).status_code for page in pages_of(hers)} == {404}


def test_staff_can_poll_every_job_without_sql(as_stella, alice, django_assert_num_queries):
    _, json = open_page(as_stella, running_upload_of(alice))
    with django_assert_num_queries(0):
        assert as_stella.get(json).json()["done"] == 5


def test_a_forged_viewer_cookie_is_refused(as_bob, alice):
    part, json = pages_of(running_upload_of(alice))[1:3]
    for forged in (f"{alice.pk}", f"{alice.pk}:x:y", "1 staff", "\x00", ""):
        as_bob.cookies[permissions.VIEWER_COOKIE] = forged
        assert (as_bob.get(part).status_code, as_bob.get(json).status_code) == (404, 404)


def test_a_viewer_cookie_is_refused_in_another_session(as_alice, as_bob, client, alice):
    part, json = open_page(as_alice, running_upload_of(alice))
    for other in (as_bob, client):
        other.cookies[permissions.VIEWER_COOKIE] = as_alice.cookies[permissions.VIEWER_COOKIE].value
        assert (other.get(part).status_code, other.get(json).status_code) == (404, 404)


def log_out(client, user) -> None:
    client.post("/accounts/logout/")


def change_password(client, user) -> None:
    user.set_password("a better secret by far")
    user.save()


def deactivate(client, user) -> None:
    user.is_active = False
    user.save()


def delete_sessions(client, user) -> None:
    Session.objects.all().delete()


def delete_account(client, user) -> None:
    user.delete()


def open_page_and_copy_cookies(user) -> tuple[Client, Client, str, str]:
    """The user's browser, one of somebody who kept a copy of its cookies, and the two addresses of its polls."""
    browser, thief = signed_in(user), Client()
    part, json = open_page(browser, running_upload_of(user))
    thief.cookies = copy(browser.cookies)
    return browser, thief, part, json


@pytest.mark.parametrize("end", [log_out, change_password, deactivate, delete_sessions, delete_account])
def test_the_cookies_of_an_ended_session_read_nothing(alice, end):
    browser, thief, part, json = open_page_and_copy_cookies(alice)
    assert thief.get(json).json()["done"] == 5
    end(browser, alice)
    assert (thief.get(part).status_code, thief.get(json).status_code) == (404, 404)


@pytest.mark.parametrize("end", [log_out, change_password])
def test_the_cookies_of_a_session_that_ended_beside_a_silent_cache_read_nothing(alice, end):
    """At once here, and in other processes once the cache answers again."""
    browser, thief, part, json = open_page_and_copy_cookies(alice)
    with suspended(running_server("cache")):
        cache.get("any")  # opens the circuit breaker
        end(browser, alice)
    circuit_breaker.reset_all()
    assert (thief.get(part).status_code, thief.get(json).status_code) == (404, 404)
    wait_until(lambda: not viewers.undeleted, "the cache to delete the token")
    assert get_redis_connection("default").exists(viewers.token_key(alice.pk)) == 0
    assert (thief.get(part).status_code, thief.get(json).status_code) == (404, 404)


def test_while_the_cache_is_away_longer_than_a_token_lives_nothing_waits_for_it(as_alice, settings, monkeypatch):
    monkeypatch.setattr(viewers, "TOKEN_SECONDS", 0.3)
    make_unreachable(settings, "default")
    settings.REDIS_URL = UNREACHABLE_URL
    as_alice.post("/accounts/logout/")
    assert viewers.undeleted
    wait_until(lambda: not viewers.undeleted, "the end of the thread")


def test_a_user_who_is_staff_no_longer_cannot_poll_jobs_of_others(as_stella, stella, alice):
    _, json = open_page(as_stella, running_upload_of(alice))
    stella.is_staff = False
    stella.save()
    assert as_stella.get(json).status_code == 404


def test_a_log_out_leaves_the_other_sessions_alone(alice, as_bob, bob, django_assert_num_queries):
    this_session, other_session = signed_in(alice), signed_in(alice)
    json = open_page(this_session, running_upload_of(alice))[1]
    open_page(other_session, running_upload_of(alice))
    bobs = open_page(as_bob, running_upload_of(bob))[1]
    this_session.post("/accounts/logout/")
    assert this_session.get(json).status_code == 404
    assert other_session.get(json).json()["state"] == "running"  # from the database
    with django_assert_num_queries(0):
        assert other_session.get(json).json()["done"] == 5
        assert as_bob.get(bobs).json()["done"] == 5


def test_the_cookie_of_an_older_release_costs_sql_and_no_error(as_alice, alice):
    _, json = open_page(as_alice, running_upload_of(alice))
    salt = as_alice.session.session_key
    as_alice.cookies["viewer"] = get_cookie_signer(salt="viewer" + salt).sign(f"{alice.pk}")
    assert as_alice.get(json).json()["state"] == "running"


@pytest.mark.parametrize("age", ["", "-1", "x", "²", "٣", "1.5", "9" * 5000])
def test_an_invalid_age_of_the_page_is_ignored(as_alice, alice, age):
    part, _ = open_page(as_alice, running_upload_of(alice))
    assert as_alice.get(part, {"age": age}).status_code == 200


def test_a_page_polls_less_often_the_longer_it_is_open():
    pauses = [poll_seconds(age) for age in (0, 60, 300, 3600)]
    assert pauses == sorted(set(pauses))
