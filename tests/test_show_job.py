"""A user opens the page of a job."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from tests.factories import RESULTS, State, pages_of, running_upload_of, upload_of
from tests.outages import make_unreachable
from workers import jobs
from workers.models import Job
from workers.queues import table


def page_of(upload) -> str:
    return pages_of(upload)[0]


@pytest.mark.parametrize(
    ("kind", "state", "job", "words"),
    [
        ("video", State.QUEUED, {}, jobs.user_messages.STARTING),
        ("video", State.RUNNING, {}, jobs.user_messages.STARTING),
        ("video", State.DONE, {}, "Download"),
        ("csv", State.DONE, {"result": {"rows": 3, "rejected": 1, "header": ["title"]}}, "rows to mend"),
        ("csv", State.DONE, {"result": {"rows": 3, "rejected": 1, "header": ["title"]}}, "The other rows are in"),
        ("csv", State.DONE, {"result": {"rows": 3, "rejected": 3, "header": ["title"]}}, "No row could go in"),
        ("video", State.FAILED, {"message": "It has no picture."}, "It has no picture."),
        ("video", State.CANCELLED, {"message": "Cancelled."}, "Cancelled."),
    ],
)
def test_the_page_shows_each_state_in_words(as_alice, alice, kind, state, job, words):
    page = as_alice.get(page_of(upload_of(alice, state, kind=kind, **job)))
    assert page.status_code == 200
    assert words in page.content.decode()


def test_a_video_names_the_tracks_that_were_left_out(as_alice, alice):
    left_out = [{"kind": "sound track", "name": "Commentary <b>, English"}, {"kind": "subtitles", "name": ""}]
    upload = upload_of(alice, State.DONE, result=RESULTS["video"] | {"left_out": left_out})
    page = " ".join(as_alice.get(page_of(upload)).content.decode().split())
    assert "one sound track. Left out: sound track (Commentary &lt;b&gt;, English), subtitles." in page


def test_a_video_with_nothing_left_out_says_nothing_of_it(as_alice, alice):
    assert b"Left out" not in as_alice.get(page_of(upload_of(alice, State.DONE))).content


@pytest.mark.parametrize(
    ("codec", "name"), [("windows-1252", "Windows-1252"), ("utf-8", "UTF-8"), ("utf-16", "UTF-16")]
)
def test_an_import_names_its_encoding_as_spreadsheet_programs_do(as_alice, alice, codec, name):
    result = {"rows": 3, "header": ["title"], "encoding": codec, "delimiter": ";"}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert f"read as {name}, separated by semicolons" in page
    assert "no rows" not in page


def test_an_import_of_a_header_without_rows_has_a_page(as_alice, alice):
    result = {"rows": 0, "header": ["title"], "encoding": "utf-8", "delimiter": ","}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert "The file has a header and no rows" in page


@pytest.mark.parametrize(("rejected", "is_none"), [(3, True), (2, False)])
def test_an_import_of_bad_rows_alone_is_not_called_imported(as_alice, alice, rejected, is_none):
    result = {"rows": 3, "rejected": rejected, "header": ["title"]}
    upload = upload_of(alice, State.DONE, kind="csv", result=result)
    page, library = as_alice.get(page_of(upload)).content.decode(), as_alice.get("/").content.decode()
    assert [">Nothing imported<" in text for text in (page, library)] == [is_none, is_none]
    assert [">Imported<" in text for text in (page, library)] == [not is_none, not is_none]
    assert 'id="change"' in page
    assert ("Report on this file" in page) == (not is_none)


@pytest.mark.parametrize(("count", "more"), [(1, False), (20, False), (1_021, True)])
def test_an_import_names_twenty_ignored_columns_and_counts_the_others(as_alice, alice, count, more):
    names = [f"ignored{number} " + "x" * 500 for number in range(count)]
    result = {"rows": 3, "header": ["title"], "ignored_columns": names}
    page = as_alice.get(page_of(upload_of(alice, State.DONE, kind="csv", result=result))).content.decode()
    assert [f"ignored{number} " in page for number in (0, 19, 20)] == [True, count > 19, False]
    assert ("and 1,001 more" in page) == more
    assert "x" * 50 not in page


def test_a_running_job_shows_its_progress(as_alice, alice):
    page = as_alice.get(page_of(running_upload_of(alice))).content.decode()
    assert "transcoding" in page
    assert 'value="5"' in page


def test_another_user_gets_404_for_every_page_of_a_job(as_bob, alice):
    upload = running_upload_of(alice)
    answers = {as_bob.get(page).status_code for page in pages_of(upload)}
    assert answers == {404}


def test_a_visitor_cannot_tell_whether_a_job_exists(client, alice):
    upload = running_upload_of(alice)
    for page in pages_of(upload):
        theirs, nobodys = client.get(page), client.get(page.replace(str(upload.pk), str(uuid4())))
        assert theirs.status_code == nobodys.status_code
        assert theirs.status_code in (302, 404)


def test_staff_see_the_tools_own_error_and_the_owner_does_not(as_stella, as_alice, alice):
    upload = upload_of(alice, State.FAILED, message="It has no picture.", detail="moov atom not found")
    assert "moov atom not found" in as_stella.get(page_of(upload)).content.decode()
    assert "moov atom not found" not in as_alice.get(page_of(upload)).content.decode()


@pytest.fixture
def failed_twice(alice):
    upload = upload_of(alice, State.FAILED, attempt=3, request_id="a-click", error="ValueError: bad price")
    now = timezone.now()
    for number, outcome, error in ((1, "lost", ""), (2, "failed", "ValueError: bad price"), (3, "", "")):
        upload.job.attempts.create(
            number=number, worker=f"video@host{number}", release="v7", request_id="a-click", error=error,
            started_at=now, ended_at=now if outcome else None, outcome=outcome,
        )  # fmt: skip
    Job.objects.update(finished_at=timezone.now())
    return upload


def test_staff_see_every_attempt_and_the_timeline_from_the_click_to_the_end(as_stella, failed_twice):
    page = " ".join(as_stella.get(page_of(failed_twice)).content.decode().split())
    words = ["Clicked", "request a-click", "Queued in video", "Attempt 1 started", "video@host1 · v7"]
    words += ["Attempt 1 lost", "Attempt 2 failed", "ValueError: bad price", "Attempt 3 started", "Ended: failed"]
    words += ["tried again by its owner, or with other jobs"]
    places = [page.find(word) for word in words]
    assert -1 not in places
    assert page.find("Clicked") < page.find("Attempt 1 lost") < page.find("Ended: failed")
    assert [page.count(f"video@host{number}") for number in (1, 2, 3)] == [2, 2, 2]
    assert "All with this error" in page


def events_of(client, upload) -> list[str]:
    """What each event of the timeline says."""
    events = client.get(page_of(upload)).context["timeline"]
    return [" ".join((event.words, event.detail)).strip() for event in events]


@pytest.mark.parametrize("delay", [-0.02, 0.02])
def test_a_cause_comes_before_its_effect_and_an_end_is_said_once(as_stella, alice, delay):
    """A worker may be quicker than the stamp of the message, and the row is written after its place is taken."""
    now, late = timezone.now(), timedelta(seconds=delay)
    upload = upload_of(
        alice, State.FAILED, attempt=1, error="ValueError: bad price", request_id="a-click", dispatched_at=now + late
    )
    Job.objects.update(queued_at=now - timedelta(seconds=0.1), finished_at=now + timedelta(seconds=1))
    upload.job.attempts.create(
        number=1, started_at=now, ended_at=now + timedelta(seconds=1.01), outcome="failed",
        error="ValueError: bad price", worker="video@host", request_id="a-click",
    )  # fmt: skip
    assert events_of(as_stella, upload) == [
        "Clicked request a-click",
        "Queued in video",
        "Published message 1",
        "Attempt 1 started video@host",
        "Attempt 1 failed ValueError: bad price",
    ]


def test_the_timeline_keeps_who_retried_and_cancelled_it_before(as_stella, alice):
    upload = upload_of(alice, State.FAILED, attempt=1, request_id="a-click")
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=9))
    Job.objects.update(queued_at=F("created_at"))
    before = timezone.now() - timedelta(minutes=5)
    upload.job.attempts.create(
        number=1, worker="video@host", request_id="a-click", outcome="failed", started_at=before, ended_at=before
    )
    for action in ("retry", "cancel", "retry"):
        as_stella.post(reverse(action, args=[upload.pk]), headers={"X-Request-ID": f"the-{action}-of-the-staff"})
    assert events_of(as_stella, upload) == [
        "Clicked request a-click",
        "Queued in video",
        "Attempt 1 started video@host",
        "Attempt 1 failed",
        "Tried again by stella request the-retry-of-the-staff",
        "Cancelled by stella request the-cancel-of-the-staff",
        "Tried again by stella request the-retry-of-the-staff",
        "Queued in video",
    ]


def test_an_index_has_what_the_staff_did_to_a_job(db):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT * FROM mediaapp_actionentry WHERE target = 'x' ORDER BY id DESC LIMIT 50")
        assert "action_of_target" in str(cursor.fetchall())


def test_the_staff_see_the_timeline_in_place_of_what_the_owner_reads(as_stella, as_alice, failed_twice):
    theirs, owners = (client.get(page_of(failed_twice)).content.decode() for client in (as_stella, as_alice))
    assert [page.count('<ol class="card list history"') for page in (theirs, owners)] == [1, 1]
    assert ["Uploaded, " in page for page in (theirs, owners)] == [False, True]
    assert ["1 kB" in page for page in (theirs, owners)] == [True, True]


def menu_of(page: str) -> list[str]:
    return re.findall(r"<a [^>]*aria-current[^>]*>([^<]+)</a>", page)


def test_anothers_job_is_a_page_of_operations_that_says_whose_it_is(as_stella, stella, alice):
    for state in (State.FAILED, State.QUEUED, State.RUNNING):
        page = " ".join(as_stella.get(page_of(upload_of(alice, state))).content.decode().split())
        assert menu_of(page) == ["Operations", "Jobs"]
        button = re.search('<button [^>]*id="(retry|cancel)"', page)
        assert "This file belongs to <b>alice</b>" in page[: button.start()]
        assert [word for word in ("Your file", "Upload another", "yours") if word in page] == []
        for address in ("queues/video/", "tasks/workers.video.tasks.transcode_video/", "jobs/"):
            assert f'href="/operations/{address}"' in page
    page = as_stella.get(page_of(upload_of(stella, State.FAILED))).content.decode()
    assert menu_of(page) == ["Library"]
    assert "belongs to" not in page


def test_an_own_change_of_many_is_a_page_of_operations(as_stella, stella):
    job = jobs.create(
        "workers.highmem.tasks.change_jobs", owner_id=stella.pk, arguments={"change": "retry"}, publish_now=False
    )
    page = as_stella.get(reverse("job", args=[job.pk])).content.decode()
    assert menu_of(page) == ["Operations", "Jobs"]
    assert "belongs to" not in page


def test_its_owner_has_the_menu_of_a_user(as_alice, alice):
    assert menu_of(as_alice.get(page_of(upload_of(alice, State.FAILED))).content.decode()) == ["Library"]


def test_an_attempt_without_an_end_runs_only_if_its_job_does(as_stella, failed_twice):
    def outcomes() -> list[str]:
        page = " ".join(as_stella.get(page_of(failed_twice)).content.decode().split())
        return [word for word in re.findall(r"<td> (\w+) ", page) if word in ("Lost", "Failed", "Running")]

    assert outcomes() == ["Lost", "Failed", "Lost"]
    Job.objects.update(state=State.RUNNING)
    assert outcomes() == ["Lost", "Failed", "Running"]


def test_its_owner_sees_none_of_it(as_alice, failed_twice):
    page = as_alice.get(page_of(failed_twice)).content.decode()
    for word in ("For the staff", "host1", "a-click", "ValueError", "v7", "/operations/"):
        assert word not in page


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.DONE, State.FAILED, State.CANCELLED])
@pytest.mark.parametrize(("task", "name"), [
    ("workers.default.tasks.send_password_reset", "Mail of a password reset"),
    ("workers.highmem.tasks.delete_files", "Deletion of files"),
    ("workers.highmem.tasks.change_jobs", "Retry 7 jobs"),
])  # fmt: skip
def test_a_job_without_a_file_has_a_page_for_the_staff_alone(as_stella, as_alice, alice, state, task, name):
    job = Job.objects.create(
        task=task, queue=table().queue_of(task), owner=alice, state=state, queued_at=timezone.now(),
        started_at=timezone.now(), finished_at=timezone.now() if state in Job.FINAL else None,
        arguments={"change": "retry", "count": 7}, result={"changed": 5},
    )  # fmt: skip
    pages = [reverse(page, args=[job.pk]) for page in ("job", "progress", "progress_json")]
    assert [as_stella.get(page).status_code for page in pages] == [200] * 3
    assert [as_alice.get(page).status_code for page in pages] == [404] * 3
    page = as_stella.get(pages[0]).content.decode()
    assert f"<h1>{name}</h1>" in page
    assert [word for word in ("kept until", "Uploaded", "Your file", "Upload another") if word in page] == []
    is_change = task.endswith("change_jobs")
    assert ("5 retried, 2 had changed meanwhile." in page) == (is_change and state == State.DONE)
    assert ("5 of 7 were retried." in page) == (is_change and state in (State.FAILED, State.CANCELLED))


def test_markup_in_a_name_or_message_is_escaped(as_alice, alice):
    markup = "<img src=x onerror=alert(1)>"
    page = as_alice.get(page_of(upload_of(alice, State.FAILED, name=markup, message=markup))).content.decode()
    assert "<img src=x" not in page


def test_the_page_works_while_the_cache_is_away(as_alice, alice, settings):
    upload = running_upload_of(alice)
    make_unreachable(settings, "default")
    assert as_alice.get(page_of(upload)).context["state"]["state"] == "running"


def test_the_browser_does_not_cache_the_page(as_alice, alice):
    assert "no-store" in as_alice.get(page_of(upload_of(alice))).headers["Cache-Control"]
