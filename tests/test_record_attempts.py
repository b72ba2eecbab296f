"""Each attempt at a job has its row, which ends as the job's row says."""

import logging
from datetime import timedelta

import pytest
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.db import connection
from django.utils import timezone

from devtools.processes import DEADLINE_SECONDS
from workers import jobs, log_context
from workers.error_fingerprint import describe_error, fingerprint_error, fingerprint_text
from workers.jobs import RetryLater, attempt_rows, execution, recovery
from workers.jobs.attempt import Cancelled
from workers.models import Job, JobAttempt
from workers.practices import locks

pytestmark = pytest.mark.django_db(transaction=True)
Outcome = JobAttempt.Outcome


@pytest.fixture
def job(alice) -> Job:
    return jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={"source": "x"})


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def outcomes(job: Job) -> list[str]:
    return list(job.attempts.order_by("number").values_list("outcome", flat=True))


def run(job: Job, error: BaseException | None = None) -> JobAttempt:
    """Runs the job in this process. Returns its newest attempt."""
    Job.objects.filter(pk=job.pk).update(not_before=None)
    with jobs.working_on(str(job.pk)):
        if error:
            raise error
    return job.attempts.latest("number")


def test_an_attempt_says_where_and_when_it_ran_and_for_which_click(job, settings):
    settings.RELEASE = "v7"
    token = log_context.request_id.set("a-click")
    with jobs.working_on(str(job.pk)):
        running = job.attempts.get()
        assert (running.number, running.outcome, running.ended_at) == (1, "", None)
        assert running.started_at == read(job).started_at
    log_context.request_id.reset(token)
    ended = job.attempts.get()
    assert (ended.worker, ended.release, ended.request_id) == ("a shell", "v7", "a-click")
    assert (ended.outcome, ended.message, ended.error) == (Outcome.DONE, "", "")
    assert ended.ended_at >= ended.started_at


def wait(job: Job) -> float:
    return attempt_rows.wait_seconds(read(job))


def test_a_job_waits_since_the_click_that_queued_it_however_often_it_was_given_back(job):
    """Not since its message: that may be published much later, when it is its owner's turn."""
    Job.objects.filter(pk=job.pk).update(queued_at=timezone.now() - timedelta(seconds=100))
    for _ in range(3):
        run(job, RetryLater(5, "Waits for writers."))
    assert 100 <= wait(job) < 100 + DEADLINE_SECONDS
    long = job.attempts.get(number=2)
    JobAttempt.objects.filter(pk=long.pk).update(started_at=long.ended_at - timedelta(seconds=60))
    run(job)
    assert 40 <= wait(job) < 40 + DEADLINE_SECONDS  # an attempt ran for a minute of it


def test_a_job_that_failed_waits_since_it_is_due_again(job):
    """It asked for the pause: the queue is not late."""
    Job.objects.filter(pk=job.pk).update(queued_at=timezone.now() - timedelta(seconds=100))
    failed = RetryLater(0, "The mail server is away.")
    failed.__cause__ = OSError("no route to host")
    run(job, failed)
    with jobs.working_on(str(job.pk)):
        started_at = read(job).started_at
        assert wait(job) == (started_at - job.attempts.get(number=1).ended_at).total_seconds()
        due_at = started_at - timedelta(milliseconds=1)
        Job.objects.filter(pk=job.pk).update(not_before=due_at)
        assert wait(job) == 0.001


def test_a_job_that_a_person_retries_waits_since_then(job):
    Job.objects.filter(pk=job.pk).update(queued_at=timezone.now() - timedelta(seconds=100))
    run(job, ValueError("bad price"))
    jobs.retry(read(job))
    queued_at = read(job).queued_at
    run(job)
    assert wait(job) == (read(job).started_at - queued_at).total_seconds()


def test_a_database_that_restarts_in_a_claim_leaves_the_job_as_it_was(job, broker, monkeypatch):
    """The queries of the claim are one transaction: else the row would say that it runs, and nobody would run it."""

    def restart(claimed: Job) -> float:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return 0.0

    monkeypatch.setattr(attempt_rows, "wait_seconds", restart)
    monkeypatch.setattr(execution, "RETURN_SECONDS", 0)
    with pytest.raises(Reject), jobs.working_on(str(job.pk)):
        pass
    connection.close()
    assert (read(job).state, read(job).attempt, outcomes(job)) == (Job.State.QUEUED, 0, [])


def test_a_job_keeps_the_id_of_the_request_that_created_it(alice):
    token = log_context.request_id.set("a-click")
    clicked = jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={})
    log_context.request_id.reset(token)
    log_context.request_id.set(log_context.UNKNOWN)
    recurring = jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={})
    assert (read(clicked).request_id, read(recurring).request_id) == ("a-click", "")


def test_a_failure_is_in_the_job_until_it_is_tried_again_and_stays_in_its_attempt(job):
    failed = run(job, ValueError("bad price"))
    error = ("ValueError: bad price", failed.error_fingerprint)
    assert (failed.outcome, failed.error, failed.message) == (
        Outcome.FAILED,
        error[0],
        jobs.user_messages.INTERNAL_ERROR,
    )
    assert (read(job).error, read(job).error_fingerprint) == error
    assert jobs.retry(read(job))
    assert (read(job).error, read(job).error_fingerprint) == ("", "")
    assert run(job).outcome == Outcome.DONE
    assert outcomes(job) == [Outcome.FAILED, Outcome.DONE]
    assert job.attempts.earliest("number").error == error[0]


def test_an_attempt_that_goes_back_to_its_queue_says_why(job):
    away = RetryLater(300, "The storage is away.")
    away.__cause__ = OSError("no route to host")
    requeued = run(job, away)
    assert (requeued.outcome, requeued.message, requeued.error) == (
        Outcome.REQUEUED,
        "The storage is away.",
        "OSError: no route to host",
    )
    assert read(job).error == ""
    with pytest.raises(KeyboardInterrupt):
        run(job, KeyboardInterrupt())
    assert outcomes(job) == [Outcome.REQUEUED] * 2
    assert job.attempts.latest("number").message == jobs.user_messages.WORKER_STOPPED


def test_a_cancelled_attempt_is_one(job):
    assert run(job, Cancelled()).outcome == Outcome.CANCELLED


def test_an_attempt_of_a_dead_worker_is_lost_and_the_last_of_them_fails_the_job(job):
    for number in range(1, recovery.MAX_CRASHES + 1):
        with pytest.raises(Ignore), jobs.working_on(str(job.pk)):
            # What recovery sees after a kill -9: a row that says running.
            assert recovery.requeue_or_fail_orphans(Job.objects.all()) == (number < recovery.MAX_CRASHES)
            raise ValueError("it comes too late")
        assert outcomes(job) == [Outcome.LOST] * number
    assert (read(job).state, read(job).error) == (Job.State.FAILED, recovery.CRASHED)
    assert read(job).error_fingerprint == fingerprint_text(recovery.CRASHED)
    assert not JobAttempt.objects.filter(ended_at=None).exists()


def test_an_attempt_that_lost_its_job_does_not_end_the_next_one(job):
    with pytest.raises(Ignore), jobs.working_on(str(job.pk)):
        recovery.requeue_or_fail_orphans(Job.objects.all())
        other = Job.objects.get(pk=job.pk)
        Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, attempt=2)
        JobAttempt.objects.create(job=other, number=2, started_at=timezone.now())
        raise locks.LeaseLost
    assert outcomes(job) == [Outcome.LOST, ""]


def test_what_an_older_release_took_over_ends_as_lost(job, alice):
    """It recovers, finishes and claims jobs, and knows no attempts."""
    continued, ended, running = (
        jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={}) for _ in range(3)
    )
    for each in (continued, ended, running):
        Job.objects.filter(pk=each.pk).update(state=Job.State.RUNNING, attempt=1, started_at=timezone.now())
        JobAttempt.objects.create(job=each, number=1, started_at=timezone.now())
    Job.objects.filter(pk=continued.pk).update(state=Job.State.QUEUED)
    Job.objects.filter(pk=ended.pk).update(state=Job.State.DONE, attempt=2)
    run(continued)
    assert outcomes(continued) == [Outcome.LOST, Outcome.DONE]
    assert attempt_rows.end_abandoned() == 1
    assert [outcomes(each) for each in (ended, running)] == [[Outcome.LOST], [""]]
    assert attempt_rows.end_abandoned() == 0


def test_a_job_keeps_its_newest_attempts(job):
    """An import that waits for another one to write hands itself back every few seconds: its failure must stay."""
    count = attempt_rows.KEEP + 3
    for number in range(1, count):
        outcome, now = Outcome.FAILED if number == 1 else Outcome.REQUEUED, timezone.now()
        JobAttempt.objects.create(job=job, number=number, started_at=now, ended_at=now, outcome=outcome)
    Job.objects.filter(pk=job.pk).update(attempt=count - 1)
    run(job)
    assert list(job.attempts.order_by("number").values_list("number", flat=True)) == [1, *range(4, count + 1)]


def test_the_end_of_a_job_says_in_the_log_how_long_it_waited_and_ran(job, caplog):
    Job.objects.filter(pk=job.pk).update(queued_at=timezone.now() - timezone.timedelta(seconds=90))
    with caplog.at_level(logging.INFO):
        run(job)
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("job_finished")]
    values = dict(part.split("=") for part in line.split()[1:])
    assert 90 <= float(values["queued"]) < 210
    assert 0 <= float(values["ran"]) < 120


def raised(function) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    pytest.fail("no error")


def read_price(text: str) -> float:
    return float(text)


def read_date(text: str) -> float:
    return float(text)


def test_equal_errors_of_different_jobs_have_one_fingerprint_and_others_have_others():
    same = {fingerprint_error(raised(lambda price=price: read_price(price))) for price in ("dear", "cheap")}
    assert len(same) == 1
    assert fingerprint_error(raised(lambda: read_date("dear"))) not in same
    assert fingerprint_error(raised(lambda: read_price(None))) not in same  # a TypeError


def test_errors_without_our_code_in_their_tracebacks_are_equal_but_for_what_differs_from_job_to_job():
    texts = [
        f"Row {row} of '{name}' in uploads/{row}/source is bad: {job}"
        for row, name, job in (
            (7, "a.csv", "0d9f1c2e-1111-4222-8333-444455556666"),
            (1_234, "my file.csv", "aaaa1c2e-1111-4222-8333-4444555566ff"),
        )
    ]
    assert len({fingerprint_text(text) for text in texts}) == 1
    assert fingerprint_text(texts[0].replace("bad", "long")) != fingerprint_text(texts[0])
    assert fingerprint_error(SoftTimeLimitExceeded()) == fingerprint_error(SoftTimeLimitExceeded())


def test_an_error_is_one_line_without_a_password():
    error = ConnectionError("cannot reach\n postgres://app:secret@db/x \x00" + 400 * "y")
    line = describe_error(error)
    assert line.startswith("ConnectionError: cannot reach postgres://app:...@db/x yyy")
    assert len(line) == 300
    assert [describe_error(each) for each in (MemoryError(), SoftTimeLimitExceeded())] == [
        "MemoryError",
        "SoftTimeLimitExceeded",
    ]
