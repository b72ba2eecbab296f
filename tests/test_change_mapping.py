"""An owner changes the mapping of an import that has ended, and runs it again."""

import pytest
from django.urls import reverse

from tests.factories import State, upload_of
from tests.mappings import confirm_mapping, job_of, mapping_url, upload_csv
from workers.highmem.tasks import import_catalogue
from workers.models import Job, RejectedRow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("state", Job.FINAL)
def test_an_ended_import_runs_again_with_another_mapping(as_alice, alice, state):
    upload = upload_csv(as_alice, "external_id,title,price\nA1,Dune,9.90\nA2,Ubik,x\n")
    import_catalogue(str(upload.pk))
    Job.objects.filter(pk=upload.pk).update(state=state)
    assert RejectedRow.objects.count() == 1
    assert 'id="change"' in as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert as_alice.post(reverse("change_mapping", args=[upload.pk])).url == mapping_url(upload)
    assert RejectedRow.objects.count() == 1  # until it is confirmed
    confirm_mapping(as_alice, upload, **{"column-price": ""})
    assert (job_of(upload).checkpoint, RejectedRow.objects.count()) == ({}, 0)
    import_catalogue(str(upload.pk))
    result = job_of(upload).result
    assert (result["created"], result["unchanged"], result["rejected"]) == (1, 1, 0)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_an_unfinished_import_keeps_its_mapping(as_alice, alice, state):
    upload = upload_of(alice, state, kind="csv")
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    assert job_of(upload).state == state
    assert as_alice.get(mapping_url(upload)).status_code == 302


def test_a_cancel_during_the_new_mapping_keeps_rows_and_counts(as_alice, alice):
    upload = upload_csv(as_alice, "external_id,title\nA1,Dune\n")
    import_catalogue(str(upload.pk))
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    page = as_alice.post(reverse("cancel", args=[upload.pk]), follow=True)
    assert page.context["will_resume"]
    job = job_of(upload)
    assert (alice.catalogue.get().title, job.result["created"], job.started_at) == ("Dune", 1, None)


def test_a_video_has_no_mapping_to_change(as_alice, alice):
    upload = upload_of(alice, State.FAILED)
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    assert job_of(upload).state == "failed"
