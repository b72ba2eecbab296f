"""A queued job says when it starts, and says nothing where that is unknown.

Runs last for an hour here, so that the seconds of a slow test change nothing.
"""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from tests.cache_commands import cache_commands
from tests.factories import State, pages_of, upload_of
from workers import jobs
from workers.jobs import user_messages
from workers.models import Job, QueueSample
from workers.practices import progress

pytestmark = pytest.mark.django_db
HOUR = 3600
VIDEO, CSV = "video", "csv"


@pytest.fixture(autouse=True)
def hours(db):
    """The last runs of both queues took an hour each, and one worker consumes each."""
    now = timezone.now()
    for queue in ("video", "imports"):
        spent = {"started_at": now - timedelta(seconds=HOUR), "finished_at": now}
        Job.objects.create(task="x", queue=queue, state=State.DONE, queued_at=now, **spent)
    consume(1)


def consume(workers):
    now = timezone.now()
    for queue in ("video", "imports"):
        QueueSample.objects.create(queue=queue, taken_at=now + timedelta(seconds=workers), consumers=workers)


def run(owner, *, since=0, kind=VIDEO, **report):
    """A job that has been running for so many seconds, and its report."""
    started_at = timezone.now() - timedelta(seconds=since)
    upload = upload_of(owner, State.RUNNING, kind=kind, started_at=started_at)
    if report:
        reporter = progress.Progress(upload.pk, owner.pk)
        reporter.report(5, 15, report.get("stage", "transcoding"))
        cache.set(reporter.key, cache.get(reporter.key) | report, 60)
    return upload


def hours_until(upload):
    """Until it starts, to a tenth of an hour."""
    seconds = jobs.state_of(upload.job)["starts_in_seconds"]
    return seconds and round(seconds / HOUR, 1)


def test_it_starts_when_the_running_job_ends_by_what_that_reports(alice, bob):
    run(alice, since=60, eta_seconds=HOUR / 2)
    assert hours_until(upload_of(bob)) == 0.5


def test_without_a_report_of_the_end_the_running_job_takes_what_others_took(alice, bob):
    run(alice, since=HOUR * 0.4)
    assert hours_until(upload_of(bob)) == 0.6


def test_nothing_is_said_beside_a_job_that_runs_for_longer_than_others(alice, bob):
    run(alice, since=2 * HOUR)
    assert hours_until(upload_of(bob)) is None


def test_a_job_that_reports_runs_for_as_long_as_it_says(alice, bob):
    run(alice, since=2 * HOUR, eta_seconds=HOUR)
    assert hours_until(upload_of(bob)) == 1


def test_the_end_of_fetching_a_file_is_not_the_end_of_its_job(alice, bob):
    run(alice, since=HOUR * 0.4, stage=user_messages.FETCHING, eta_seconds=HOUR / 10)
    assert hours_until(upload_of(bob)) == 0.6


def test_the_jobs_between_take_what_others_took(alice, bob, stella):
    run(alice, eta_seconds=HOUR / 2)
    upload_of(bob)
    assert hours_until(upload_of(stella)) == 1.5


def test_with_a_second_worker_it_starts_at_the_first_end(alice, bob, stella):
    consume(2)
    run(alice, eta_seconds=HOUR / 2)
    run(bob, eta_seconds=HOUR * 3)
    for hours in (0.5, 1.5, 2.5, 3):
        assert hours_until(upload_of(stella)) == hours


def test_with_a_free_worker_no_time_is_said(alice, bob):
    consume(2)
    run(alice, eta_seconds=HOUR / 2)
    assert hours_until(upload_of(bob)) is None


def test_an_owners_imports_are_one_after_the_other_on_any_number_of_workers(alice, bob):
    consume(8)
    run(alice, kind=CSV, eta_seconds=HOUR / 2)
    upload_of(alice, kind=CSV)
    assert hours_until(upload_of(alice, kind=CSV)) == 1.5
    assert hours_until(upload_of(bob, kind=CSV)) == 0.5, "after one of the first two, who are both at work"


def test_a_table_has_two_writers_on_any_number_of_workers(alice, bob, stella):
    consume(8)
    run(alice, kind=CSV, eta_seconds=HOUR / 2)
    run(bob, kind=CSV, eta_seconds=HOUR)
    assert hours_until(upload_of(stella, kind=CSV)) == 0.5


def test_an_import_waits_for_a_report_on_its_worker(alice, bob):
    job = run(alice, kind=CSV, eta_seconds=HOUR / 2).job
    Job.objects.filter(pk=job.pk).update(queue="highmem")
    upload_of(bob, kind=CSV)
    assert hours_until(upload_of(bob, kind=CSV)) == 1.5


def test_nothing_is_said_of_a_queue_without_a_past_or_without_a_worker(alice, bob):
    run(alice)
    Job.objects.filter(state=State.DONE).delete()
    assert hours_until(upload_of(bob)) is None
    QueueSample.objects.all().delete()
    run(alice, eta_seconds=HOUR)
    assert hours_until(upload_of(bob)) is None


def test_a_page_says_the_time_and_no_time_of_few_seconds(alice, bob, as_bob):
    running = run(alice, eta_seconds=HOUR / 2)
    page = pages_of(upload_of(bob))[0]
    assert "It starts in about 30 min." in as_bob.get(page).text
    reporter = progress.Progress(running.pk, alice.pk)
    cache.set(reporter.key, cache.get(reporter.key) | {"eta_seconds": 2}, 60)
    assert "It starts in" not in as_bob.get(page).text
    assert "1 file before yours." in as_bob.get(page).text


def test_a_poll_costs_one_command_to_the_cache_however_many_run(alice, bob, django_assert_num_queries):
    for _ in range(25):
        run(alice, eta_seconds=HOUR)
    video, imported = upload_of(bob), upload_of(bob, kind=CSV)
    for upload, statements, commands in ((video, 5, 1), (imported, 6, 0)):
        before = cache_commands()
        with django_assert_num_queries(statements):
            jobs.state_of(upload.job)
        assert cache_commands() - before == commands
