"""The file as it was sent, and its rejected rows, go a while after the job's end; pages say when."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils import timezone

from mediaapp import retention
from mediaapp.models import ColumnMapping, Upload, User
from mediaapp.reports import request_report
from tests.factories import State, add_file, upload_of
from workers.highmem.tasks import delete_files
from workers.jobs import user_messages
from workers.models import Job, RejectedRow

pytestmark = pytest.mark.django_db
OLD, YOUNG = 31, 29
RESULT = {"rows": 3, "created": 2, "rejected": 1, "header": ["external_id", "title"]}


def ended(owner: User, days_ago: int, state: str = State.DONE, kind: str = "csv", **job: object) -> Upload:
    moment = timezone.now() - timedelta(days=days_ago)
    upload = upload_of(owner, state, kind=kind, **job)
    if kind == "csv" and state != State.NEEDS_MAPPING:
        Job.objects.filter(pk=upload.pk).update(result=RESULT)
        RejectedRow.objects.create(job=upload.job, line=3, reason="no title", cells=["A3", ""])
    Job.objects.filter(pk=upload.pk).update(finished_at=moment if state in Job.FINAL else None, queued_at=moment)
    Upload.objects.filter(pk=upload.pk).update(created_at=moment)
    for name in ("source", "video.mp4"):
        add_file(upload, name, b"some bytes")
    return Upload.objects.get(pk=upload.pk)


def repeat(function) -> int:
    total = 0
    while count := function():
        total += count
    return total


def run_deletions() -> None:
    for job in Job.objects.filter(task=delete_files.name, state=State.QUEUED):
        delete_files.run(str(job.pk))


def files_of(upload: Upload) -> list[str]:
    return sorted(default_storage.listdir(upload.folder)[1])


def has_source(upload: Upload) -> bool:
    return Upload.objects.get(pk=upload.pk).has_source


@pytest.mark.parametrize("storage", ["disk", "bucket"])
def test_an_old_source_and_its_rejected_rows_go_and_the_result_stays(request, storage, alice):
    if storage == "bucket":
        request.getfixturevalue("bucket")
    gone = [ended(alice, OLD), ended(alice, OLD, kind="video"), ended(alice, OLD, State.FAILED)]
    stay = [ended(alice, YOUNG), ended(alice, OLD, State.RUNNING), ended(alice, OLD, State.QUEUED)]
    assert repeat(retention.delete_old_sources) == len(gone)
    run_deletions()
    assert [files_of(each) for each in gone] == [["video.mp4"]] * 3
    assert [files_of(each) for each in stay] == [["source", "video.mp4"]] * 3
    assert [has_source(each) for each in gone + stay] == [False] * 3 + [True] * 3
    assert set(RejectedRow.objects.values_list("job", flat=True)) == {each.pk for each in stay}


def test_the_folder_of_a_source_without_results_goes_too(alice):
    upload = ended(alice, OLD)
    default_storage.delete(upload.storage_name("video.mp4"))
    repeat(retention.delete_old_sources)
    run_deletions()
    assert not default_storage.exists(upload.folder)


def test_a_retry_at_the_last_moment_keeps_the_file(as_alice, alice):
    upload = ended(alice, OLD, State.FAILED)
    as_alice.post(reverse("retry", args=[upload.pk]))
    assert repeat(retention.delete_old_sources) == 0
    assert has_source(upload)


@pytest.mark.parametrize(
    ("state", "kind", "kept", "gone"),
    [
        (State.DONE, "csv", "change its mapping, report on it", "Its rows in your catalogue stay"),
        (State.DONE, "video", "This video stays", "This video stays"),
        (State.FAILED, "video", "so that you can try again", "upload it once more"),
        (State.CANCELLED, "csv", "so that you can try again", "upload it once more"),
    ],
)
def test_the_page_says_until_when_the_file_is_kept_and_then_that_it_is_gone(as_alice, alice, state, kind, kept, gone):
    upload = ended(alice, YOUNG, state, kind)
    url = reverse("job", args=[upload.pk])
    page = as_alice.get(url).content.decode()
    assert kept in page
    assert f"{upload.source_kept_until:%B %Y}" in page
    old = timezone.now() - timedelta(days=OLD)
    Job.objects.update(finished_at=old)
    Upload.objects.update(created_at=old)
    repeat(retention.delete_old_sources)
    page = as_alice.get(url).content.decode()
    assert gone in page
    assert 'id="retry"' not in page
    assert 'id="change"' not in page
    assert reverse("rejected_rows", args=[upload.pk]) not in page


@pytest.mark.parametrize(
    ("action", "state"),
    [("retry", State.FAILED), ("change_mapping", State.DONE), ("report_on_upload", State.DONE)],
)
def test_an_old_page_starts_nothing_without_the_file(as_alice, alice, action, state):
    upload = ended(alice, OLD, state)
    repeat(retention.delete_old_sources)
    page = as_alice.post(reverse(action, args=[upload.pk]), follow=True)
    assert retention.SOURCE_DELETED_MESSAGE in page.content.decode()
    assert Job.objects.get(pk=upload.pk).state == state
    assert as_alice.get(reverse("rejected_rows", args=[upload.pk])).status_code == 404


def test_a_mapping_that_nobody_confirms_is_cancelled_and_may_be_taken_up_again(as_alice, alice):
    old, young = [ended(alice, days, State.NEEDS_MAPPING, arguments={"dialect": None}) for days in (OLD, YOUNG)]
    assert repeat(retention.cancel_unconfirmed) == 1
    assert [Job.objects.get(pk=each.pk).state for each in (old, young)] == [State.CANCELLED, State.NEEDS_MAPPING]
    assert user_messages.NOT_CONFIRMED in as_alice.get(reverse("job", args=[old.pk])).content.decode()
    as_alice.post(reverse("retry", args=[old.pk]))
    assert repeat(retention.cancel_unconfirmed) == 0
    assert Job.objects.get(pk=old.pk).state == State.NEEDS_MAPPING


def test_uploads_of_which_nothing_is_left_go_after_a_year_with_the_reports_on_them(alice):
    imported, failed, video = [
        ended(alice, 366, *each) for each in ((), (State.FAILED, "video"), (State.DONE, "video"))
    ]
    request_report(alice, imported)
    assert repeat(retention.delete_old_uploads) == 0  # first the sources
    repeat(retention.delete_old_sources)
    assert repeat(retention.delete_old_uploads) == 2
    assert set(Upload.objects.all()) == {video}
    assert set(Job.objects.exclude(task=delete_files.name)) == {video.job}
    assert failed.folder in [job.arguments.get("folder") for job in Job.objects.filter(task=delete_files.name)]


def test_expired_sessions_go_and_a_living_one_stays(as_alice, alice, monkeypatch):
    monkeypatch.setattr(retention, "CHUNK", 2)
    for number in range(3):
        Session.objects.create(session_key=str(number), expire_date=timezone.now() - timedelta(minutes=1))
    assert [retention.delete_expired_sessions() for _ in range(3)] == [2, 1, 0]
    assert as_alice.get("/").status_code == 200


def test_old_column_mappings_and_admin_actions_go_and_young_ones_stay(alice):
    for days in (364, 366):
        moment = timezone.now() - timedelta(days=days)
        mapping = ColumnMapping.objects.create(owner=alice, columns_digest=str(days), columns={})
        ColumnMapping.objects.filter(pk=mapping.pk).update(confirmed_at=moment)
        LogEntry.objects.create(user=alice, action_time=moment, action_flag=1)
    assert (repeat(retention.delete_old_mappings), repeat(retention.delete_old_admin_log)) == (1, 1)
    assert (ColumnMapping.objects.get().columns_digest, LogEntry.objects.count()) == ("364", 1)
