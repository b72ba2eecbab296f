"""A browser asks or sends twice: there is one upload, one job, and the file that was checked."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.test import Client

from mediaapp.models import OpenUpload, Upload, User
from mediaapp.uploads import direct
from tests.conftest import signed_in
from tests.direct_uploads import LARGE, ROWS, open_upload, send_form, send_part
from workers.circuit_breaker import in_request
from workers.models import Job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bucket")]


def storage_events() -> Any:
    """Of the client that requests use."""
    token = in_request.set(True)
    try:
        return default_storage.client.meta.events
    finally:
        in_request.reset(token)


def test_the_owners_row_is_not_locked_while_the_storage_begins_a_multipart_upload(as_alice, alice):
    found = []

    def lock() -> None:
        try:
            with transaction.atomic():
                found.append(User.objects.select_for_update(no_key=True, nowait=True).get())
        finally:
            connection.close()

    def lock_in_thread(**_: object) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lock).result()

    storage_events().register("before-call.s3.CreateMultipartUpload", lock_in_thread)
    open_upload(as_alice, LARGE)
    assert found == [alice]


def test_two_windows_that_open_a_file_at_once_open_one_upload(as_alice):
    other = []

    def open_in_between(**_: object) -> None:
        if not other:
            other.append({})
            other[0] = open_upload(as_alice, LARGE)

    storage_events().register("before-call.s3.CreateMultipartUpload", open_in_between)
    assert open_upload(as_alice, LARGE) == other[0]
    assert OpenUpload.objects.count() == 1


def test_completing_the_multipart_upload_twice_closes_the_upload(as_alice):
    how = open_upload(as_alice, LARGE)
    for number in (1, 2):
        send_part(as_alice, how["parts"], number)
    known = OpenUpload.objects.get()
    where, parts = (direct.source_name(known), known.parts_id), direct.list_parts(known)
    events = storage_events()

    def answer_as_amazon(**_: object) -> tuple:
        """404 to the second request, where SeaweedFS answers 200."""
        events.unregister("before-call.s3.CompleteMultipartUpload", answer_as_amazon)
        direct.bucket.complete_multipart(*where, parts)
        return SimpleNamespace(status_code=404), {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 404}}

    events.register("before-call.s3.CompleteMultipartUpload", answer_as_amazon)
    assert as_alice.post(how["close"]).status_code == 201


def test_a_part_sent_again_after_the_close_is_rejected(as_alice):
    how = open_upload(as_alice, LARGE)
    for number in (1, 2):
        send_part(as_alice, how["parts"], number)
    link = as_alice.post(how["parts"]["sign"], {"number": 2}).json()["url"]
    as_alice.post(how["close"])
    assert urllib3.request("PUT", link, body=b"x" * (len(LARGE) - how["parts"]["size"])).status == 404
    assert default_storage.open(Upload.objects.get().file).read() == LARGE


def test_choosing_a_small_file_again_opens_no_second_upload(as_alice):
    assert open_upload(as_alice)["close"] == open_upload(as_alice)["close"]
    assert open_upload(as_alice)["close"] != open_upload(as_alice, last_modified=2)["close"]
    assert open_upload(as_alice, last_modified="")["close"] != open_upload(as_alice, last_modified="")["close"]


def test_closing_a_file_many_times_makes_one_job(as_alice, alice, broker):
    how = open_upload(as_alice)
    send_form(how["form"])

    def close(client: Client) -> tuple[int, str]:
        try:
            answer = client.post(how["close"])
            return answer.status_code, answer.json()["id"]
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        answers = set(threads.map(close, [signed_in(alice) for _ in range(3)]))
    assert answers | {close(signed_in(alice))} == {(201, str(Upload.objects.get().pk))}
    assert (Job.objects.count(), broker.llen("imports")) == (1, 1)


def test_a_close_that_was_interrupted_after_completion_continues(as_alice):
    how = open_upload(as_alice, LARGE)
    for number in (1, 2):
        send_part(as_alice, how["parts"], number)
    known = OpenUpload.objects.get()
    direct.bucket.complete_multipart(direct.source_name(known), known.parts_id, direct.list_parts(known))
    assert set(open_upload(as_alice, LARGE)["parts"]["arrived"]) >= {1, 2}
    assert as_alice.post(how["close"]).status_code == 201
    assert Upload.objects.get().size == len(LARGE)


def test_a_file_sent_again_after_the_close_does_not_replace_the_checked_one(as_alice):
    how = open_upload(as_alice)
    send_form(how["form"])
    as_alice.post(how["close"])
    send_form(how["form"], b"x" * len(ROWS))
    assert default_storage.open(Upload.objects.get().file).read() == ROWS
