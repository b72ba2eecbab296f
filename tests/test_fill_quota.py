"""An owner's files have a limit together: the site says how much is free, and keeps what is there."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from mediaapp.models import OpenUpload, Upload
from mediaapp.uploads.filetypes import UploadRejected
from mediaapp.uploads.quota import check_quota
from mediaapp.uploads.receive import store_upload
from tests.factories import State, upload_of

pytestmark = pytest.mark.django_db
JSON = {"HTTP_ACCEPT": "application/json"}
CSV = b"external_id,title\n1,One\n"


@pytest.fixture(autouse=True)
def limit_of_two_kilobytes(settings):
    settings.MAX_BYTES_PER_OWNER = 2000


def test_a_file_that_does_not_fit_is_refused_with_figures(alice, as_alice):
    upload_of(alice)  # 1,000 bytes
    file = SimpleUploadedFile("more.csv", CSV * 50)
    response = as_alice.post(reverse("upload"), {"file": file}, **JSON)
    assert response.status_code == 422
    assert "The file has 1.2 kB, and 1 kB of your 2 kB is free." in response.json()["error"]
    assert Upload.objects.count() == 1


def test_a_file_that_fits_is_taken(alice):
    upload_of(alice)
    assert store_upload(alice, ContentFile(CSV, name="small.csv")).size == len(CSV)


def test_the_files_of_others_do_not_count(alice, bob):
    upload_of(bob)
    upload_of(bob)
    check_quota(alice, 2000)
    with pytest.raises(UploadRejected):
        check_quota(bob, 1)


def test_what_a_browser_is_sending_counts(alice):
    OpenUpload.objects.create(owner=alice, name="film.mp4", size=1500)
    check_quota(alice, 500)
    with pytest.raises(UploadRejected):
        check_quota(alice, 501)


def test_a_browser_learns_it_before_it_sends_the_file(alice, as_alice):
    response = as_alice.post(reverse("open_upload"), {"name": "film.mp4", "size": "2001"}, **JSON)
    assert response.status_code == 422
    assert "2 kB of your 2 kB is free" in response.json()["error"]
    assert as_alice.post(reverse("open_upload"), {"name": "film.mp4", "size": "2000"}, **JSON).status_code == 201


def test_room_comes_back_when_the_file_as_it_was_sent_goes_and_a_finished_video_counts(alice):
    film = upload_of(alice, State.DONE)  # of 1,000 bytes, and its result of 900
    check_quota(alice, 100)
    with pytest.raises(UploadRejected):
        check_quota(alice, 101)
    film.source_deleted_at = film.created_at
    film.save()
    check_quota(alice, 1100)
    with pytest.raises(UploadRejected):
        check_quota(alice, 1101)
