"""The nightly clean-up deletes uploads that were opened and never closed, and nothing else."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from mediaapp.models import OpenUpload, Upload
from mediaapp.uploads import direct
from tests.direct_uploads import LARGE, ROWS, bucket_contents, open_upload, send_form, send_part
from workers.highmem import tasks
from workers.storage import cleanup

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bucket")]


@pytest.fixture(autouse=True)
def cleaned_up_by_the_site(settings) -> None:
    settings.CLEAN_UPS = ["mediaapp.uploads.direct.discard_abandoned_uploads"]


def discard_all() -> int:
    """Chunk by chunk, as the task does."""
    counts = []
    while not counts or counts[-1]:
        counts.append(direct.discard_abandoned_uploads())
    return sum(counts)


def aged(**which: object) -> None:
    yesterday = timezone.now() - timedelta(hours=25)
    assert OpenUpload.objects.filter(**which).update(opened_at=yesterday)


def test_an_open_upload_is_deleted_after_a_day_and_others_stay(as_alice):
    for name in ("old", "fresh", "closed"):
        form, parts = open_upload(as_alice, ROWS, f"{name} form"), open_upload(as_alice, LARGE, f"{name} parts")
        assert (send_form(form["form"]), send_part(as_alice, parts["parts"], 1)) == (201, 200)
        if name == "closed":
            send_part(as_alice, parts["parts"], 2)
            assert {as_alice.post(how["close"]).status_code for how in (form, parts)} == {201}
    aged(name__startswith="old")
    kept = {upload.file for upload in Upload.objects.all()}
    for upload in OpenUpload.objects.filter(name__startswith="fresh"):
        known = direct.INCOMING_NAME.format(upload.pk), direct.source_name(upload)
        kept.add(known[bool(upload.parts_id)])
    tasks.delete_old()
    assert set(bucket_contents()) == kept
    assert {upload.name for upload in OpenUpload.objects.all()} == {"fresh form", "fresh parts"}


def test_an_upload_whose_parts_are_joined_or_lost_is_deleted_too(as_alice):
    open_upload(as_alice, LARGE, "forgotten")
    joined = open_upload(as_alice, LARGE, "joined")
    for number in (1, 2):
        send_part(as_alice, joined["parts"], number)
    for upload in OpenUpload.objects.all():
        where = direct.source_name(upload), upload.parts_id
        if upload.name == "joined":
            direct.bucket.complete_multipart(*where, direct.list_parts(upload))
        else:
            direct.bucket.abort_multipart(*where)
    aged()
    assert discard_all() == 2
    assert (bucket_contents(), OpenUpload.objects.count()) == ({}, 0)


def test_a_file_without_a_row_is_deleted_after_a_day(as_alice, alice, monkeypatch):
    send_form(open_upload(as_alice)["form"])
    alice.delete()
    assert direct.discard_abandoned_uploads() == 0
    assert len(bucket_contents()) == 1
    monkeypatch.setattr(direct, "OPEN_UPLOAD_TTL", timedelta(seconds=-60))
    assert direct.discard_abandoned_uploads() == 1
    assert bucket_contents() == {}


def test_one_call_discards_one_upload(as_alice):
    for name in ("a", "b"):
        open_upload(as_alice, ROWS, name)
    aged()
    assert [direct.discard_abandoned_uploads() for _ in range(3)] == [1, 1, 0]


def test_a_silent_storage_deletes_no_row_and_stops_no_other_clean_up(as_alice, settings, caplog):
    open_upload(as_alice)
    aged()
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)
    tasks.delete_old()
    assert OpenUpload.objects.count() == 1
    assert "cleanup_failed" in caplog.text


def test_old_parts_of_a_killed_worker_are_deleted_and_new_parts_and_files_stay(monkeypatch):
    whole = default_storage.save("results/whole", ContentFile(ROWS))
    direct.bucket.begin_multipart("results/video.mp4")
    assert cleanup.abort_old_multipart() == 0
    assert bucket_contents() == {whole: len(ROWS), "results/video.mp4": -1}
    monkeypatch.setattr(cleanup, "KEEP_UPLOADS", timedelta(seconds=-60))
    assert cleanup.abort_old_multipart() == 1
    assert bucket_contents() == {whole: len(ROWS)}
