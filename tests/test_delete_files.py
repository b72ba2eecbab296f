"""An upload, a report or an account is deleted: its files go too, on a disk and in a bucket, also later."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from mediaapp.models import Report, Upload, User
from mediaapp.reports import request_report
from tests.factories import State, add_file, upload_of
from workers import jobs
from workers.highmem.tasks import delete_files
from workers.models import Job
from workers.storage import cleanup, workspace

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["disk", "bucket"])
def storage(request: pytest.FixtureRequest) -> None:
    if request.param == "bucket":
        request.getfixturevalue("bucket")


def upload_with_files_of(owner: User) -> Upload:
    upload = upload_of(owner, State.DONE)
    for name in ("source", "video.mp4", "poster.jpg"):
        add_file(upload, name, b"some bytes")
    return upload


def report_of(owner: User) -> Report:
    report = request_report(owner)
    default_storage.save(report.storage_name("rows.csv"), ContentFile(b"rows"))
    return report


def names_in(folder: str) -> list[str]:
    try:
        return sorted(default_storage.listdir(folder)[1])
    except FileNotFoundError:
        return []


def deletions() -> list[Job]:
    return list(Job.objects.filter(task=delete_files.name).order_by("created_at"))


def run_deletions() -> None:
    for job in deletions():
        delete_files.run(str(job.pk))


def test_deleting_an_upload_deletes_its_files_and_no_others(storage, alice):
    gone, stays = upload_with_files_of(alice), upload_with_files_of(alice)
    gone.delete()
    run_deletions()
    assert names_in(gone.folder) == []
    assert names_in(stays.folder) == ["poster.jpg", "source", "video.mp4"]


def test_deleting_an_account_deletes_all_its_files_and_no_others(storage, alice, bob):
    gone, stays = [upload_with_files_of(alice), report_of(alice)], [upload_with_files_of(bob), report_of(bob)]
    alice.delete()
    run_deletions()
    assert [names_in(each.folder) for each in gone] == [[], []]
    assert all(names_in(each.folder) for each in stays)
    assert [job.state for job in deletions()] == [State.DONE, State.DONE]


def test_a_deletion_is_retried_with_growing_pauses_while_the_bucket_is_away(bucket, settings, alice):
    gone, there = upload_with_files_of(alice), settings.S3_ENDPOINT_URL
    gone.job.delete()
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)  # which makes a new default_storage
    run_deletions()
    assert [(job.state, job.message) for job in deletions()] == [(State.QUEUED, workspace.STORAGE_AWAY)]
    Job.objects.update(not_before=None)
    run_deletions()
    assert deletions()[0].not_before - timezone.now() > timedelta(seconds=workspace.RETRY_SECONDS)
    settings.S3_ENDPOINT_URL = there
    settings.STORAGES = dict(settings.STORAGES)
    Job.objects.update(not_before=None)
    run_deletions()
    assert ([job.state for job in deletions()], names_in(gone.folder)) == ([State.DONE], [])


@pytest.mark.django_db(transaction=True)
def test_deleting_an_account_with_many_files_leaves_the_publishing_to_the_sweep(broker, alice):
    for _ in range(3):
        upload_with_files_of(alice)
    alice.delete()
    assert (broker.llen("maintenance"), [job.dispatched_at for job in deletions()]) == (0, [None] * 3)
    Job.objects.update(queued_at=timezone.now() - timedelta(seconds=6))
    assert jobs.sweep() == broker.llen("maintenance") == 3


@pytest.mark.parametrize("folder", ["", ".", "uploads"])
def test_a_folder_of_several_objects_is_never_deleted(alice, folder):
    stays = upload_with_files_of(alice)
    with pytest.raises(ValueError, match="of others too"):
        cleanup.delete_folder(folder)
    assert names_in(stays.folder) == ["poster.jpg", "source", "video.mp4"]
