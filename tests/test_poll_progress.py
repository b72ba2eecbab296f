"""A page, or a program, asks again and again how far a job is."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from django_redis import get_redis_connection

from mediaapp import permissions
from mediaapp.views.jobs import poll_seconds
from tests.conftest import signed_in
from tests.factories import State, pages_of, running_upload_of, upload_of
from tests.outages import make_unreachable
from workers.models import Job
from workers.practices import progress

KEYS = {"state", "done", "total", "stage", "message", "eta_seconds", "queue_position", "result"}


def look(client, upload):
    """Opens the page, as one does before it polls."""
    page, part, json, *_ = pages_of(upload)
    assert client.get(page).status_code == 200
    return part, json


def commands(server) -> int:
    """How many commands a Valkey has run, apart from this question."""
    return sum(each["calls"] for name, each in server.info("commandstats").items() if name != "cmdstat_info")


@pytest.mark.parametrize(
    ("state", "job", "told"),
    [
        (State.QUEUED, {}, {"stage": "Processing is about to start", "queue_position": 1}),
        (State.RUNNING, {}, {"stage": "Processing is about to start", "queue_position": None}),
        (State.DONE, {"result": {"rows": 3}}, {"result": {"rows": 3}}),
        (State.FAILED, {"message": "It has no picture."}, {"message": "It has no picture."}),
        (State.CANCELLED, {"message": "Cancelled."}, {"message": "Cancelled."}),
    ],
)
def test_every_state_is_told_under_the_same_keys(as_alice, alice, state, job, told):
    answer = as_alice.get(pages_of(upload_of(alice, state, **job))[2])
    assert answer.json().keys() >= KEYS
    assert answer.json().items() >= ({"state": state.value, "eta_seconds": None} | told).items()
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_running_job_tells_how_far_it_is(as_alice, alice):
    told = as_alice.get(pages_of(running_upload_of(alice, 5, 15))[2]).json()
    assert told.keys() >= KEYS
    assert (told["state"], told["done"], told["total"], told["stage"]) == ("running", 5, 15, "transcoding")


def test_a_queued_job_tells_its_place_behind_those_that_came_earlier(as_alice, as_bob, alice, bob):
    earlier = timezone.now() - timedelta(minutes=1)
    first, second = upload_of(bob, queued_at=earlier), upload_of(alice)
    upload_of(alice, kind="csv", queued_at=earlier)  # another queue
    upload_of(bob, State.RUNNING, queued_at=earlier)  # waits no more
    assert as_bob.get(pages_of(first)[2]).json()["queue_position"] == 1
    assert as_alice.get(pages_of(second)[2]).json()["queue_position"] == 2


@pytest.mark.parametrize("which", [0, 1], ids=["page", "json"])
def test_a_poll_of_a_running_job_costs_no_sql_and_one_command_of_the_cache(
    as_alice, alice, which, django_assert_num_queries
):
    address = look(as_alice, running_upload_of(alice))[which]
    as_alice.get(address)
    server = get_redis_connection("default")
    before = commands(server)
    with django_assert_num_queries(0):
        answer = as_alice.get(address)
    assert commands(server) - before == 1
    assert answer.status_code == 200
    assert "transcoding" in answer.content.decode()


def test_a_program_that_opened_no_page_gets_there_with_its_first_poll(as_alice, alice, django_assert_num_queries):
    json = pages_of(running_upload_of(alice))[2]
    as_alice.get(json)
    with django_assert_num_queries(0):
        assert as_alice.get(json).json()["done"] == 5


def test_a_page_that_still_shows_it_waiting_gets_the_whole_new_state(as_alice, alice):
    part, _ = look(as_alice, running_upload_of(alice))
    answer = as_alice.get(part, {"was": "queued"}, headers={"HX-Request": "true"})
    assert answer.headers["HX-Retarget"] == "#state"
    assert "transcoding" in answer.content.decode()


def test_after_the_end_the_row_answers(as_alice, alice):
    upload = running_upload_of(alice)
    part, json = look(as_alice, upload)
    Job.objects.filter(pk=upload.pk).update(
        state=State.FAILED, message="It has no picture.", finished_at=timezone.now()
    )
    progress.clear(upload.pk)
    assert as_alice.get(json).json()["state"] == "failed"
    assert "It has no picture." in as_alice.get(part).content.decode()


def test_a_flushed_cache_loses_a_number_and_nothing_else(as_alice, alice):
    part, json = look(as_alice, running_upload_of(alice))
    get_redis_connection("default").flushall()
    assert as_alice.get(json).json().items() >= {"state": "running", "done": 0}.items()
    assert as_alice.get(part).status_code == 200


def test_a_cache_that_is_away_loses_no_more(as_alice, alice, settings):
    part, json = look(as_alice, running_upload_of(alice))
    make_unreachable(settings, "default")
    assert as_alice.get(json).json()["state"] == "running"
    assert as_alice.get(part).status_code == 200


def test_old_progress_is_not_told_as_news(as_alice, alice):
    upload = running_upload_of(alice)
    _, json = look(as_alice, upload)
    key = progress.KEY.format(upload.pk)
    written = cache.get(key)
    cache.set(key, written | {"updated_at": written["updated_at"] - progress.STALE_AFTER - 1})
    Job.objects.filter(pk=upload.pk).update(state=State.QUEUED, message="Its worker died.")
    assert as_alice.get(json).json().items() >= {"state": "queued", "message": "Its worker died."}.items()


def test_who_may_see_their_own_job_may_not_see_another_ones(as_bob, alice, bob):
    look(as_bob, running_upload_of(bob))
    hers = running_upload_of(alice)
    assert {as_bob.get(page).status_code for page in pages_of(hers)} == {404}


def test_staff_see_it_move_too(as_stella, alice, django_assert_num_queries):
    _, json = look(as_stella, running_upload_of(alice))
    with django_assert_num_queries(0):
        assert as_stella.get(json).json()["done"] == 5


def test_a_proof_that_was_forged_proves_nothing(as_bob, alice):
    part, json = pages_of(running_upload_of(alice))[1:3]
    for forged in (f"{alice.pk}", f"{alice.pk}:x:y", "1 staff", "\x00", ""):
        as_bob.cookies[permissions.VIEWER_COOKIE] = forged
        assert (as_bob.get(part).status_code, as_bob.get(json).status_code) == (404, 404)


def test_a_proof_is_worth_nothing_in_another_session(as_alice, as_bob, client, alice):
    part, json = look(as_alice, running_upload_of(alice))
    for other in (as_bob, client):
        other.cookies[permissions.VIEWER_COOKIE] = as_alice.cookies[permissions.VIEWER_COOKIE].value
        assert (other.get(part).status_code, other.get(json).status_code) == (404, 404)


def test_nothing_is_told_after_the_log_out(alice):
    here, elsewhere = signed_in(alice), signed_in(alice)
    upload = running_upload_of(alice)
    part, json = look(here, upload)
    look(elsewhere, upload)
    here.post("/accounts/logout/")
    assert (here.get(part).status_code, here.get(json).status_code) == (404, 404)
    assert elsewhere.get(json).json()["done"] == 5


def test_a_deactivated_account_reads_on_for_minutes_only(as_alice, alice, monkeypatch):
    _, json = look(as_alice, running_upload_of(alice))
    alice.is_active = False
    alice.save()
    assert as_alice.get(json).status_code == 200
    monkeypatch.setattr(permissions, "VIEWER_COOKIE_SECONDS", -1)  # it has grown old
    assert as_alice.get(json).status_code == 404


@pytest.mark.parametrize("age", ["", "-1", "x", "²", "٣", "1.5", "9" * 5000])
def test_whatever_age_a_page_claims_it_gets_an_answer(as_alice, alice, age):
    part, _ = look(as_alice, running_upload_of(alice))
    assert as_alice.get(part, {"age": age}).status_code == 200


def test_a_page_asks_more_and_more_seldom():
    pauses = [poll_seconds(age) for age in (0, 60, 300, 3600)]
    assert pauses == sorted(set(pauses))
