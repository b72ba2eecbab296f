"""Somebody tries a job again."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.belongings import State, upload_of
from tests.outages import broker_away
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


def retry(client: Client, upload):
    return client.post(reverse("retry", args=[upload.pk]))


def job_of(upload) -> Job:
    return Job.objects.get(pk=upload.pk)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_it_goes_to_the_end_of_its_queue_and_on_where_it_stopped(as_alice, alice, broker, state):
    upload = upload_of(alice, state, kind="csv", checkpoint={"rows": 100}, message="Cancelled.", detail="x", deaths=2)
    before = job_of(upload)
    assert retry(as_alice, upload).url == reverse("job", args=[upload.pk])
    after = job_of(upload)
    assert (after.state, after.message, after.detail, after.deaths) == (State.QUEUED, "", "", 0)
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
    with broker_away():
        assert retry(as_alice, upload).status_code == 302
    assert (job_of(upload).state, job_of(upload).dispatched_at) == (State.QUEUED, None)
