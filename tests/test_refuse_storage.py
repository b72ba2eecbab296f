"""A storage refuses the site (wrong keys, no such bucket): jobs end with words, and staff learn why."""

import pytest
from django.core.files.base import ContentFile

from devtools.processes import wait_until
from mediaapp.models import Upload, User
from mediaapp.uploads.receive import store_upload
from mediaapp.views.library import STORAGE_REFUSED_MESSAGE
from tests.direct_uploads import ROWS
from tests.doctor import ask_doctor
from tests.factories import State
from workers import jobs
from workers.highmem.tasks import delete_files, import_catalogue
from workers.jobs import user_messages
from workers.models import Job
from workers.storage import health, workspace

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["the bucket is gone", "the keys are wrong"])
def refuse(request, bucket, settings):
    """Lets the storage refuse from now on."""

    def change() -> None:
        if request.param == "the bucket is gone":
            settings.S3_BUCKET = "gone"
        else:
            settings.AWS_SECRET_ACCESS_KEY = "wrong"
        settings.STORAGES = dict(settings.STORAGES)  # which makes a new default_storage

    return change


def upload_of(owner: User) -> Upload:
    return store_upload(owner, ContentFile(ROWS, name="books.csv"))


def doctor() -> str:
    printed, code = ask_doctor()
    assert code == 1
    return printed


def test_a_job_whose_file_the_storage_refuses_fails_with_words_and_goes_on_after_the_repair(
    refuse, bucket, settings, alice
):
    books = upload_of(alice)
    good = {name: getattr(settings, name) for name in ("S3_BUCKET", "AWS_SECRET_ACCESS_KEY")}
    refuse()
    import_catalogue.run(str(books.pk))
    job = Job.objects.get(pk=books.pk)
    assert (job.state, job.message) == (State.FAILED, user_messages.STORAGE_REFUSED)
    assert "StorageRefusedError" in job.detail
    for name, value in good.items():
        setattr(settings, name, value)
    settings.STORAGES = dict(settings.STORAGES)
    assert jobs.retry(job)
    import_catalogue.run(str(books.pk))
    assert Job.objects.get(pk=books.pk).state == State.DONE


def test_the_doctor_and_the_page_of_staff_name_the_refusal(refuse, alice, as_stella):
    assert health.verify().ok is True
    books = upload_of(alice)
    refuse()
    import_catalogue.run(str(books.pk))
    finding = health.verify()
    assert (finding.ok, "1 job" in finding.reason, "S3_BUCKET" in finding.reason) == (False, True, True)
    assert "Storage" in doctor()
    # On a busy machine the page may not get its answer within its 1.5 s.
    address = "/operations/capacity/"
    wait_until(lambda: "The storage refuses" in as_stella.get(address).content.decode(), "the page to name it")


def test_a_refused_result_of_a_job_is_found_although_the_bucket_answers(bucket, alice):
    """A key that may read and not write."""
    books = upload_of(alice)
    Job.objects.filter(pk=books.pk).update(
        state=State.FAILED, message=user_messages.STORAGE_REFUSED, finished_at=books.created_at
    )
    assert health.verify().ok is False


def test_a_refused_deletion_is_tried_again_because_nobody_else_would(refuse, alice):
    upload_of(alice).job.delete()
    refuse()
    (job,) = Job.objects.filter(task=delete_files.name)
    delete_files.run(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.message) == (State.QUEUED, user_messages.STORAGE_REFUSED)
    assert (job.not_before - job.queued_at).total_seconds() > workspace.MAX_RETRY_SECONDS - 60


def test_a_browser_that_opens_an_upload_reads_that_we_are_to_blame(bucket, settings, as_alice):
    """Only for wrong keys: the test's server makes a missing bucket at the first write."""
    settings.AWS_SECRET_ACCESS_KEY = "wrong"
    settings.STORAGES = dict(settings.STORAGES)
    answer = as_alice.post("/uploads/open/", {"name": "film.mp4", "size": 20_000_000, "last_modified": 1})
    assert (answer.status_code, answer.json()["error"]) == (503, STORAGE_REFUSED_MESSAGE)


def test_a_file_that_is_missing_is_not_a_refusal(bucket, alice):
    books = upload_of(alice)
    Job.objects.filter(pk=books.pk).update(arguments=books.job.arguments | {"source": "uploads/none/source"})
    import_catalogue.run(str(books.pk))
    assert Job.objects.get(pk=books.pk).message == workspace.FILE_GONE
    assert health.verify().ok is True


def test_a_silent_storage_is_unknown_and_not_a_refusal(bucket, settings):
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)
    assert health.verify().ok is None
