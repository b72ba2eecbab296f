"""The staff retry or cancel many jobs at once: those that they ticked, or all that match a search."""

import os
import re
import signal
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devtools.processes import wait_until
from mediaapp.job_search import conditions, find, select
from mediaapp.models import ActionEntry, Upload, User
from tests.factories import State, upload_of
from workers import jobs
from workers.jobs import bulk
from workers.models import Job, Pause, SelectedJob

pytestmark = pytest.mark.django_db(transaction=True)

CHANGE = "/operations/jobs/change/"
ERROR = {"error": "ValueError: bad price", "message": "Something went wrong.", "attempt": 1}


@pytest.fixture
def failed(alice, bob) -> list[Upload]:
    """Four, the oldest first, of two owners."""
    return [upload_of(owner, State.FAILED, kind="csv", **ERROR) for owner in (alice, bob, alice, alice)]


def start_change(client: Client, change: str, **chosen: object) -> Job:
    response = client.post(CHANGE, {"change": change, **chosen})
    return Job.objects.get(pk=response.url.split("/")[-2])


def run(action: Job) -> Job:
    """Runs it in this process, until it does not ask for another run."""
    while not Job.objects.get(pk=action.pk).is_final:
        Job.objects.filter(pk=action.pk).update(not_before=None)
        with jobs.working_on(str(action.pk)) as job:
            jobs.change_selected(job)
    return Job.objects.get(pk=action.pk)


def text_of(client: Client, page: str, **query: object) -> str:
    return unescape(" ".join(client.get(page, query, follow=True).content.decode().split()))


def states() -> dict[str, int]:
    found = list(Job.objects.exclude(queue="maintenance").values_list("state", flat=True))
    return {state: found.count(state) for state in set(found)}


def test_only_the_staff_change_many_jobs(as_alice, client, failed):
    for method in (as_alice.get, as_alice.post):
        assert method(CHANGE, {"change": "retry", "all": "yes"}).status_code == 404
    assert client.post(CHANGE, {"change": "retry", "all": "yes"}).url.startswith("/accounts/login/")
    assert states() == {State.FAILED: 4}


def test_a_question_says_what_will_happen_and_changes_nothing(as_stella, failed):
    page = text_of(as_stella, CHANGE, change="retry", all="yes", q="state:failed")
    assert "Retry 4 failed jobs?" in page
    assert "All that match <code>state:failed</code>" in page
    assert states() == {State.FAILED: 4}
    assert not Job.objects.filter(queue="maintenance").exists()
    assert "Retry 1 failed job?" in text_of(as_stella, CHANGE, change="retry", id=failed[0].pk)


def test_a_question_names_the_queues_which_is_paused_and_who_takes_turns(as_stella, alice, failed):
    upload_of(alice, State.FAILED)
    Pause.objects.create(kind="queue", name="video", paused_by="tom")
    page = re.sub(r"<.*?>", "", text_of(as_stella, CHANGE, change="retry", all="yes", q="state:failed"))
    assert "4 in imports." in page
    assert re.search(r"1 in video, paused by tom since \d\d:\d\d: none starts before somebody resumes it\.", page)
    assert "In video, imports, the owners take turns" in page
    for each in Job.objects.filter(queue="imports"):
        jobs.retry(each)
    page = re.sub(r"<.*?>", "", text_of(as_stella, CHANGE, change="cancel", all="yes", q="state:queued"))
    assert "4 in imports." in page
    assert "in video" not in page


def test_all_that_match_go_back_to_their_queues_in_their_order_and_turns(as_stella, failed, bob, broker):
    other = upload_of(bob, State.FAILED)
    action = start_change(as_stella, "retry", all="yes", q="task:import state:failed")
    assert (action.owner.username, action.queue) == ("stella", "maintenance")
    ended = run(action)
    assert (ended.state, ended.result) == (State.DONE, {"changed": 4})
    assert states() == {State.QUEUED: 4, State.FAILED: 1}
    assert Job.objects.get(pk=other.pk).state == State.FAILED
    retried = list(Job.objects.filter(state=State.QUEUED).order_by("queued_at"))
    assert [job.pk for job in retried] == [upload.pk for upload in failed]
    assert {(job.error, job.message, job.dispatch_number) for job in retried} == {("", "", 1)}
    assert broker.llen("imports") == 0, "the sweep publishes them"
    Job.objects.update(queued_at=timezone.now() - timedelta(seconds=10))
    jobs.sweep()
    assert broker.llen("imports") == 2, "one of each owner"
    assert not SelectedJob.objects.exists()


def test_the_ticked_ones_alone_are_changed(as_stella, failed):
    run(start_change(as_stella, "retry", id=[failed[0].pk, failed[2].pk], q="state:failed"))
    queued = Job.objects.filter(state=State.QUEUED)
    assert {job.pk for job in queued} == {failed[0].pk, failed[2].pk}


def test_waiting_jobs_are_cancelled_at_once_and_running_ones_are_asked(as_stella, alice):
    waiting, running, done = (upload_of(alice, state) for state in (State.QUEUED, State.RUNNING, State.DONE))
    mapping = upload_of(alice, State.NEEDS_MAPPING, kind="csv")
    assert "Cancel 3 jobs?" in text_of(as_stella, CHANGE, change="cancel", all="yes", q="alice")
    assert run(start_change(as_stella, "cancel", all="yes", q="alice")).result == {"changed": 3}
    after = {job.pk: job for job in Job.objects.all()}
    assert [after[each.pk].state for each in (waiting, mapping, done)] == [State.CANCELLED, State.CANCELLED, State.DONE]
    assert (after[running.pk].state, after[running.pk].cancel_requested_at is None) == (State.RUNNING, False)


def test_what_its_owner_cancelled_is_retried_only_if_it_is_named(as_stella, alice):
    cancelled = upload_of(alice, State.CANCELLED)
    upload_of(alice, State.FAILED)
    assert "Retry 1 failed job?" in text_of(as_stella, CHANGE, change="retry", all="yes", q="alice")
    assert "Retry 1 cancelled job?" in text_of(as_stella, CHANGE, change="retry", all="yes", q="state:cancelled")
    assert "Retry 1 cancelled job?" in text_of(as_stella, CHANGE, change="retry", id=cancelled.pk)


def test_what_cannot_run_again_is_left_out_with_words(as_stella, alice, failed):
    Upload.objects.filter(pk=failed[0].pk).update(source_deleted_at=timezone.now())
    unconfirmed = upload_of(alice, State.CANCELLED, kind="csv", arguments={"dialect": None})
    ids = [upload.pk for upload in (*failed, unconfirmed)]
    page = text_of(as_stella, CHANGE, change="retry", id=ids)
    assert "Retry 3 failed jobs?" in page
    assert "1 more is left out: we no longer have its file." in page
    assert "1 more is left out: nobody has said how its file is to be read." in page
    run(start_change(as_stella, "retry", id=ids))
    assert states() == {State.QUEUED: 3, State.FAILED: 1, State.CANCELLED: 1}


def test_a_job_that_somebody_started_since_the_selection_is_left_alone(as_stella, failed, alice):
    action = start_change(as_stella, "retry", all="yes", q="state:failed")
    assert jobs.retry(Job.objects.get(pk=failed[0].pk))
    assert jobs.retry(Job.objects.get(pk=failed[1].pk))
    Job.objects.filter(pk=failed[1].pk).update(state=State.FAILED)  # and failed again
    Job.objects.filter(pk=failed[2].pk).delete()
    before = Job.objects.get(pk=failed[0].pk)
    assert run(action).result == {"changed": 1}
    after = Job.objects.get(pk=failed[0].pk)
    assert (after.dispatch_number, after.queued_at) == (before.dispatch_number, before.queued_at)
    assert Job.objects.get(pk=failed[1].pk).state == State.FAILED
    assert "1 retried, 3 had changed meanwhile." in text_of(as_stella, reverse("job", args=[action.pk]))


def test_a_row_that_somebody_writes_to_comes_later(as_stella, failed, monkeypatch):
    action = start_change(as_stella, "retry", all="yes", q="state:failed")
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM workers_job WHERE id = %s FOR UPDATE", [failed[0].pk])
        with jobs.working_on(str(action.pk)) as job:
            jobs.change_selected(job)
    waiting = Job.objects.get(pk=action.pk)
    assert (waiting.state, waiting.message) == (State.QUEUED, jobs.user_messages.WAITING_FOR_ROWS)
    assert waiting.result == {"changed": 3}
    other.rollback()
    other.close()
    assert run(action).result == {"changed": 4}


def test_a_long_change_goes_back_to_its_queue_and_goes_on(as_stella, failed, monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 1)
    monkeypatch.setattr(bulk, "MAX_SECONDS", -1)
    action = run(start_change(as_stella, "retry", all="yes", q="state:failed"))
    assert (action.result, action.attempt) == ({"changed": 4}, 5)


def test_a_cancelled_change_stops_where_it_is_and_can_go_on(as_stella, failed, monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 3)
    monkeypatch.setattr("workers.jobs.attempt.CANCEL_CHECK_SECONDS", 0)
    action = start_change(as_stella, "retry", all="yes", q="state:failed")
    with jobs.working_on(str(action.pk)) as job:
        as_stella.post(reverse("cancel", args=[action.pk]))
        jobs.change_selected(job)
    page = reverse("job", args=[action.pk])
    assert Job.objects.get(pk=action.pk).state == State.CANCELLED
    assert states() == {State.QUEUED: 3, State.FAILED: 1}
    assert "3 of 4 were retried." in text_of(as_stella, page)
    as_stella.post(reverse("retry", args=[action.pk]))
    assert run(action).result == {"changed": 4}
    assert "4 retried." in text_of(as_stella, page)


def test_the_selection_is_bounded_and_says_so(as_stella, failed, monkeypatch):
    monkeypatch.setattr(select, "MAX_SELECTED", 3)
    assert "One action takes 3 jobs at most" in text_of(as_stella, CHANGE, change="retry", all="yes", q="state:failed")
    assert run(start_change(as_stella, "retry", all="yes", q="state:failed")).result == {"changed": 3}
    assert Job.objects.get(pk=failed[0].pk).state == State.FAILED, "the newest were taken"


def test_a_change_is_in_the_action_log_with_its_job(as_stella, failed):
    action = start_change(as_stella, "retry", all="yes", q="state:failed")
    entry = ActionEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("stella", "retry_jobs", str(action.pk))
    assert entry.detail == "4 jobs: state:failed"


def test_a_character_that_the_database_has_not_is_left_out_of_the_log(as_stella, failed):
    start_change(as_stella, "retry", all="yes", q="state:failed\x00")
    assert ActionEntry.objects.get().detail == "4 jobs: state:failed"


def test_a_change_of_one_job_of_somebody_else_is_in_the_action_log_and_of_an_own_one_not(as_stella, as_alice, failed):
    as_alice.post(reverse("retry", args=[failed[0].pk]))
    assert not ActionEntry.objects.exists()
    as_stella.post(reverse("retry", args=[failed[2].pk]))
    as_stella.post(reverse("cancel", args=[failed[2].pk]))
    entries = list(ActionEntry.objects.order_by("pk").values_list("action", "target"))
    assert entries == [("retry_job", str(failed[2].pk)), ("cancel_job", str(failed[2].pk))]


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({}, "Nothing was chosen."),
        ({"all": "yes", "q": "colour:red"}, "There is no field “colour”."),
        ({"all": "yes", "q": "state:done"}, "None of them failed"),
        ({"all": "yes", "q": "owner:nobodyatall"}, "None of them failed"),
        ({"all": "yes", "q": "task:nothing"}, "None of them failed"),
        ({"id": str(uuid4())}, "None of them failed"),
    ],
)
def test_what_changes_nothing_leads_back_with_a_sentence(as_stella, failed, chosen, sentence):
    assert sentence in text_of(as_stella, CHANGE, change="retry", **chosen)
    answer = as_stella.post(CHANGE, {"change": "retry", **chosen}, follow=True)
    assert answer.request["PATH_INFO"] == "/operations/jobs/"
    assert sentence in unescape(answer.content.decode())
    assert states() == {State.FAILED: 4}
    assert not Job.objects.filter(queue="maintenance").exists()
    assert not ActionEntry.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_selection_that_takes_too_long_leads_back_with_a_sentence(as_stella, failed, monkeypatch, method):
    for module in (find, select):
        monkeypatch.setattr(module, "MAX_MILLISECONDS", 50)
    slow = RawSQL("(SELECT pg_sleep(5) IS NOT NULL)", (), output_field=BooleanField())
    monkeypatch.setitem(conditions.ORDERED, "task", lambda text: Q(slow))
    answer = getattr(as_stella, method)(CHANGE, {"change": "retry", "all": "yes", "q": "task:import"}, follow=True)
    assert "This search takes too long." in answer.content.decode()
    assert not Job.objects.filter(queue="maintenance").exists()


def test_nonsense_is_not_found(as_stella):
    assert as_stella.get(CHANGE, {"change": "delete", "all": "yes"}).status_code == 404
    assert as_stella.get(CHANGE, {"change": "retry", "id": "x"}).status_code == 404


def test_a_change_never_selects_another_change(as_stella, failed, alice):
    first = start_change(as_stella, "retry", all="yes", q="")
    upload_of(alice, State.QUEUED)
    run(start_change(as_stella, "cancel", all="yes", q=""))
    assert Job.objects.get(pk=first.pk).cancel_requested_at is None
    assert Job.objects.get(pk=first.pk).state == State.QUEUED


def test_each_job_is_retried_once_though_the_worker_is_killed(as_stella, start: Callable, short_lease):
    """labs/retry_many.py kills it three times, with 10,000 jobs, beside password resets."""
    count, now = 1_500, timezone.now() - timedelta(minutes=5)
    owners = User.objects.bulk_create(User(username=f"u{n}", email=f"u{n}@example.com") for n in range(10))
    failed = {"task": "workers.video.tasks.transcode_video", "queue": "video", "state": State.FAILED, "queued_at": now}
    Job.objects.bulk_create(Job(owner=owners[n % 10], finished_at=now, **failed) for n in range(count))
    action = start_change(as_stella, "retry", all="yes", q="state:failed")
    worker = start("highmem", CELERY_WORKER_INCLUDE="tests.slow_changes")
    wait_until(lambda: SelectedJob.objects.count() < count, "a chunk to be done")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert 0 < SelectedJob.objects.count() < count
    start("highmem")

    def is_done() -> bool:
        jobs.sweep()  # as beat would
        return Job.objects.get(pk=action.pk).is_final

    wait_until(is_done, "the change to end")
    ended = Job.objects.get(pk=action.pk)
    assert (ended.state, ended.result) == (State.DONE, {"changed": count})
    assert list(ended.attempts.order_by("number").values_list("outcome", flat=True)) == ["lost", "done"]
    retried = Job.objects.filter(queue="video")
    assert set(retried.values_list("state", "dispatch_number")) == {(State.QUEUED, 1)}
