"""Somebody gives an import that has ended other columns, and it begins anew."""

import pytest
from django.urls import reverse

from tests.factories import State, upload_of
from tests.mappings import confirm, job_of, page_of, send
from workers.highmem.tasks import import_catalogue
from workers.models import Job, RejectedRow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("state", Job.FINAL)
def test_an_import_that_has_ended_can_be_mapped_anew_and_counts_anew(as_alice, alice, state):
    upload = send(as_alice, "external_id,title,price\nA1,Dune,9.90\nA2,Ubik,x\n")
    import_catalogue(str(upload.pk))
    Job.objects.filter(pk=upload.pk).update(state=state)
    assert RejectedRow.objects.count() == 1
    page = as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert "Change the mapping" in page
    assert as_alice.post(reverse("change_mapping", args=[upload.pk])).url == page_of(upload)
    assert RejectedRow.objects.count() == 1  # until it is confirmed
    confirm(as_alice, upload, **{"column-price": ""})
    assert (job_of(upload).checkpoint, RejectedRow.objects.count()) == ({}, 0)
    import_catalogue(str(upload.pk))
    result = job_of(upload).result
    assert (result["created"], result["unchanged"], result["rejected"]) == (1, 1, 0)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_an_import_that_has_not_ended_keeps_its_mapping(as_alice, alice, state):
    upload = upload_of(alice, state, kind="csv")
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    assert job_of(upload).state == state
    assert as_alice.get(page_of(upload)).status_code == 302


def test_mapped_anew_and_cancelled_its_rows_and_what_was_said_of_them_stay(as_alice, alice):
    upload = send(as_alice, "external_id,title\nA1,Dune\n")
    import_catalogue(str(upload.pk))
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    page = as_alice.post(reverse("cancel", args=[upload.pk]), follow=True).content.decode()
    assert "What was written before stays" in page
    assert (alice.catalogue.get().title, job_of(upload).result["created"], job_of(upload).started_at) == (
        "Dune",
        1,
        None,
    )


def test_a_video_has_no_columns(as_alice, alice):
    upload = upload_of(alice, State.FAILED)
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    assert job_of(upload).state == "failed"
