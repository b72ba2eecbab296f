"""Somebody cancels a job."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import State, upload_of
from workers import jobs
from workers.models import Job


def cancel(client: Client, upload):
    return client.post(reverse("cancel", args=[upload.pk]))


def job_of(upload) -> Job:
    return Job.objects.get(pk=upload.pk)


def test_a_queued_job_ends_at_once(as_alice, alice):
    upload, other = upload_of(alice), upload_of(alice)
    assert cancel(as_alice, upload).url == reverse("job", args=[upload.pk])
    assert (job_of(upload).state, job_of(other).state) == (State.CANCELLED, State.QUEUED)
    assert job_of(upload).finished_at


def test_a_running_job_is_asked_to_stop(as_alice, alice):
    upload = upload_of(alice, State.RUNNING)
    page = as_alice.post(reverse("cancel", args=[upload.pk]), follow=True)
    assert job_of(upload).state == State.RUNNING
    assert job_of(upload).cancel_requested_at
    assert "Cancelling" in page.content.decode()


@pytest.mark.parametrize("state", Job.FINAL)
def test_an_ended_job_does_not_change(as_alice, alice, state):
    upload = upload_of(alice, state)
    page = as_alice.post(reverse("cancel", args=[upload.pk]), follow=True)
    assert "there was nothing to cancel" in page.content.decode()
    assert (job_of(upload).state, job_of(upload).cancel_requested_at) == (state, None)


def test_a_job_that_is_asked_to_stop_does_not_wait_for_another_try(alice):
    upload = upload_of(alice)
    with jobs.working_on(str(upload.pk)):
        jobs.cancel(job_of(upload))
        raise jobs.RetryLater(60, "The storage is away.")
    assert (job_of(upload).state, job_of(upload).message) == (State.CANCELLED, "Cancelled.")


def test_another_user_cannot_cancel_it(as_bob, client, alice):
    upload = upload_of(alice)
    assert cancel(as_bob, upload).status_code == 404
    assert cancel(client, upload).url.startswith("/accounts/login/")
    assert job_of(upload).state == State.QUEUED


def test_staff_can_cancel_any_job(as_stella, alice):
    upload = upload_of(alice)
    cancel(as_stella, upload)
    assert job_of(upload).state == State.CANCELLED


def test_a_get_request_or_a_form_without_csrf_token_cancels_nothing(as_alice, alice):
    upload = upload_of(alice)
    csrf_client = Client(enforce_csrf_checks=True)
    csrf_client.force_login(alice)
    assert as_alice.get(reverse("cancel", args=[upload.pk])).status_code == 405
    assert cancel(csrf_client, upload).status_code == 403
    assert job_of(upload).state == State.QUEUED
