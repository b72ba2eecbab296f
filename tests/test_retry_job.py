"""Somebody tries a job again."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import State, upload_of
from tests.outages import unreachable_broker
from workers import jobs
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


def retry(client: Client, upload):
    return client.post(reverse("retry", args=[upload.pk]))


def job_of(upload) -> Job:
    return Job.objects.get(pk=upload.pk)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_it_goes_to_the_end_of_its_queue_and_on_where_it_stopped(as_alice, alice, broker, state):
    upload = upload_of(
        alice, state, kind="csv", checkpoint={"rows": 100}, message="Cancelled.", detail="x", crash_count=2
    )
    before = job_of(upload)
    assert retry(as_alice, upload).url == reverse("job", args=[upload.pk])
    after = job_of(upload)
    assert (after.state, after.message, after.detail, after.crash_count) == (State.QUEUED, "", "", 0)
    assert after.queued_at > before.queued_at
    assert after.checkpoint == {"rows": 100}
    assert after.dispatched_at
    assert broker.llen("imports") == 1


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.DONE])
def test_a_job_that_neither_failed_nor_was_cancelled_stays_as_it_is(as_alice, alice, broker, state):
    upload = upload_of(alice, state, kind="csv")
    page = as_alice.post(reverse("retry", args=[upload.pk]), follow=True)
    assert "there was nothing to try again" in page.content.decode()
    assert job_of(upload).state == state
    assert broker.llen("imports") == 0


def test_pressed_twice_it_is_sent_once(as_alice, alice, broker):
    upload = upload_of(alice, State.FAILED)
    retry(as_alice, upload)
    retry(as_alice, upload)
    assert broker.llen("video") == 1


def test_somebody_else_tries_nothing_again(as_bob, client, alice):
    upload = upload_of(alice, State.FAILED)
    assert retry(as_bob, upload).status_code == 404
    assert retry(client, upload).url.startswith("/accounts/login/")
    assert as_bob.get(reverse("retry", args=[upload.pk])).status_code == 405
    assert job_of(upload).state == State.FAILED


def test_with_the_broker_away_it_waits_in_its_row(as_alice, alice):
    upload = upload_of(alice, State.FAILED)
    with unreachable_broker():
        assert retry(as_alice, upload).status_code == 302
    assert (job_of(upload).state, job_of(upload).dispatched_at) == (State.QUEUED, None)


def test_an_import_stopped_for_its_bad_rows_offers_the_good_ones(as_alice, alice, broker):
    result = {"rows": 1000, "created": 100, "updated": 0, "unchanged": 0, "rejected": 900, "header": ["external_id"]}
    upload = upload_of(alice, State.FAILED, kind="csv", message="Stopped after 1,000 rows.", result=result)
    page = as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert ('id="force"' in page, 'id="retry"' in page) == (True, False)
    as_alice.post(reverse("retry", args=[upload.pk]), {"force": "yes"})
    assert (job_of(upload).arguments["force"], broker.llen("imports")) == (True, 1)


def test_another_failure_does_not(as_alice, alice):
    result = {"rows": 1000, "created": 900, "updated": 0, "unchanged": 0, "rejected": 100, "header": ["external_id"]}
    upload = upload_of(alice, State.FAILED, kind="csv", message="x", result=result)
    page = as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert ('id="force"' in page, 'id="retry"' in page) == (False, True)


@pytest.mark.parametrize(
    ("state", "message", "will_resume"),
    [
        (State.CANCELLED, "Cancelled.", True),
        (State.FAILED, jobs.user_messages.INTERNAL_ERROR, True),
        (State.FAILED, jobs.user_messages.TIME_LIMIT_EXCEEDED, True),
        (State.FAILED, "From line 2,536 on the quotes do not match. Mend the file.", False),
    ],
)
def test_a_page_promises_that_trying_again_goes_on_only_where_it_does(as_alice, alice, state, message, will_resume):
    result = {"rows": 1999, "created": 1500, "updated": 9, "unchanged": 485, "rejected": 5, "header": ["external_id"]}
    upload = upload_of(alice, state, kind="csv", message=message, result=result)
    response = as_alice.get(reverse("job", args=[upload.pk]))
    page = response.content.decode()
    assert response.context["will_resume"] == will_resume
    assert (message in page) == (state == State.FAILED)
    assert all(count in page for count in ("1,500", "485", "Download the 5 rejected rows"))
