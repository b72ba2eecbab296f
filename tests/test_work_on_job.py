"""A worker runs a job: one attempt at a time, and one defined end for each way in which the work can end."""

import threading

import pytest
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from devtools.processes import wait_until
from workers import jobs
from workers.jobs import RetryLater, execution, outbox, recovery
from workers.jobs.attempt import Cancelled
from workers.models import Job
from workers.practices import locks, progress
from workers.queues import table

pytestmark = pytest.mark.django_db(transaction=True)
State = Job.State
IMPORT = "workers.highmem.tasks.import_catalogue"


@pytest.fixture
def job(alice) -> Job:
    return jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={"source": "x"})


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def close_connection() -> None:
    """PostgreSQL ends this process's session, as when it restarts."""
    with connection.copy().cursor() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        other.db.close()


def test_a_job_whose_work_ends_is_done_with_its_result(job):
    with jobs.working_on(str(job.id)) as attempt:
        assert read(job).state == State.RUNNING
        attempt.result = {"rows": 7}
    ended = read(job)
    assert (ended.state, ended.result, ended.attempt) == (State.DONE, {"rows": 7}, 1)
    assert ended.finished_at is not None


def test_a_second_delivery_of_a_message_does_nothing(job):
    with jobs.working_on(str(job.id)):
        pass
    with pytest.raises(Ignore), jobs.working_on(str(job.id)):
        pytest.fail("the work was done twice")
    assert read(job).attempt == 1


def test_a_delivery_while_the_job_runs_does_nothing(job):
    def deliver_again() -> None:
        with pytest.raises(Ignore), jobs.working_on(str(job.id)):
            second.append("ran")
        connection.close()

    second: list[str] = []
    with jobs.working_on(str(job.id)):
        thread = threading.Thread(target=deliver_again)
        thread.start()
        thread.join()
    assert second == []
    assert (read(job).state, read(job).attempt) == (State.DONE, 1)


def test_a_second_message_takes_nothing_from_the_first_one_that_is_about_to_claim(job, monkeypatch):
    """An owner's next job may be published twice at once: by the end of the last one, and by the next upload."""
    Job.objects.filter(pk=job.pk).update(dispatched_at=timezone.now())
    claim = execution._claim

    def claim_late(job_id: str) -> Job:
        monkeypatch.setattr(execution, "_claim", claim)
        with pytest.raises(Ignore), jobs.working_on(job_id):
            pytest.fail("the first message has its lock")
        return claim(job_id)

    monkeypatch.setattr(execution, "_claim", claim_late)
    monkeypatch.setattr(execution, "_of_this_message", lambda: {"dispatch_number": 0})
    with jobs.working_on(str(job.id)):
        pass
    assert (read(job).state, read(job).attempt) == (State.DONE, 1)


def test_a_message_for_an_unknown_job_does_nothing():
    with pytest.raises(Ignore), jobs.working_on("00000000-0000-4000-8000-000000000000"):
        pytest.fail("there is no such job")


def test_an_error_with_a_sentence_shows_it_to_the_owner(job):
    class CsvUnreadable(Exception):
        sentence = "This file could not be read."
        detail = "moov atom not found"

    with jobs.working_on(str(job.id)):
        raise CsvUnreadable
    ended = read(job)
    assert (ended.state, ended.message, ended.detail) == (State.FAILED, CsvUnreadable.sentence, CsvUnreadable.detail)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), MemoryError()])
def test_any_other_error_is_internal_and_shows_nothing_of_our_code(job, error):
    with jobs.working_on(str(job.id)):
        raise error
    ended = read(job)
    assert (ended.state, ended.message) == (State.FAILED, jobs.user_messages.INTERNAL_ERROR)
    assert type(error).__name__ in ended.detail


def test_a_job_over_its_time_limit_fails_with_a_message(job):
    with jobs.working_on(str(job.id)):
        raise SoftTimeLimitExceeded
    assert (read(job).state, read(job).message) == (State.FAILED, jobs.user_messages.TIME_LIMIT_EXCEEDED)


def test_a_stopped_worker_requeues_its_job_at_its_checkpoint(job):
    with pytest.raises(KeyboardInterrupt), jobs.working_on(str(job.id)) as attempt:
        attempt.save({"records": 100}, {"created": 100})
        raise KeyboardInterrupt
    back = read(job)
    assert (back.state, back.dispatch_number, back.crash_count) == (State.QUEUED, 1, 0)
    assert back.dispatched_at is not None, "the stopped process did not publish it"
    with jobs.working_on(str(job.id)) as attempt:
        assert attempt.checkpoint == {"records": 100}
        assert attempt.result == {"created": 100}
    assert read(job).attempt == 2


def test_a_job_that_retries_later_waits_without_a_worker(job):
    with jobs.working_on(str(job.id)):
        raise RetryLater(300, "Waiting for another import into your catalogue.")
    back = read(job)
    assert (back.state, back.message) == (State.QUEUED, "Waiting for another import into your catalogue.")
    assert back.not_before > timezone.now()
    with pytest.raises(Ignore), jobs.working_on(str(job.id)):
        pytest.fail("it was too early")
    assert back not in outbox.unpublished_jobs(table().queues["video"])
    Job.objects.update(not_before=timezone.now())
    assert back in outbox.unpublished_jobs(table().queues["video"])


def test_a_cancelled_job_stops_at_its_next_report_and_keeps_its_result(job):
    with jobs.working_on(str(job.id)) as attempt:
        attempt.save({"records": 5}, {"created": 5})
        assert jobs.cancel(job)
        with pytest.raises(Cancelled) as cancelled:
            attempt.report(5, 10, "writing")
        raise cancelled.value
    assert (read(job).state, read(job).result) == (State.CANCELLED, {"created": 5})


def test_a_job_ends_although_the_database_closed_its_connection(job):
    with jobs.working_on(str(job.id)) as attempt:
        attempt.result = {"rows": 7}
        close_connection()
    assert (read(job).state, read(job).result) == (State.DONE, {"rows": 7})


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_job_whose_database_restarted_goes_back_to_its_queue_and_counts_no_crash(job, error):
    for _ in range(recovery.MAX_CRASHES):
        Job.objects.update(not_before=None)
        with jobs.working_on(str(job.id)):
            close_connection()
            raise error("the server closed the connection")
    back = read(job)
    assert (back.state, back.crash_count, back.attempt) == (State.QUEUED, 0, recovery.MAX_CRASHES)
    assert back.message == jobs.user_messages.DATABASE_LOST


def test_a_job_whose_statement_a_living_database_refuses_is_left_to_recovery_which_counts_a_crash(job):
    with pytest.raises(OperationalError), jobs.working_on(str(job.id)):
        raise OperationalError("deadlock detected")
    assert read(job).state == State.RUNNING
    recovery.requeue_or_fail_orphans(Job.objects.all())
    assert (read(job).state, read(job).crash_count) == (State.QUEUED, 1)


def test_a_report_survives_a_closed_connection_and_the_next_one_sees_the_cancellation(job, monkeypatch):
    monkeypatch.setattr("workers.jobs.attempt.CANCEL_CHECK_SECONDS", 0)
    with jobs.working_on(str(job.id)) as attempt:
        assert jobs.cancel(job)
        close_connection()
        attempt.report(5, 10, "writing")
        with pytest.raises(Cancelled) as cancelled:
            attempt.report(6, 10, "writing")
        raise cancelled.value
    assert read(job).state == State.CANCELLED


def test_an_attempt_that_lost_its_lease_can_write_nothing(job):
    with pytest.raises(Ignore), jobs.working_on(str(job.id)) as attempt:
        Job.objects.filter(pk=job.pk).update(attempt=2)  # as another worker's claim does
        with pytest.raises(locks.LeaseLost):
            attempt.save({"records": 5}, {})
        with pytest.raises(locks.LeaseLost):
            attempt.report(5, 10, "writing")
        raise locks.LeaseLost
    other = read(job)
    assert (other.state, other.checkpoint, other.finished_at) == (State.RUNNING, {}, None)


def test_progress_is_in_the_cache_while_the_job_runs_and_not_after(job):
    with jobs.working_on(str(job.id)) as attempt:
        attempt.report(5, 15, "writing", created=5)
        state = jobs.state_of(read(job))
        assert (state["state"], state["done"], state["total"], state["stage"]) == ("running", 5, 15, "writing")
        assert state["figures"] == {"created": 5}
    assert progress.read(job.id) is None
    assert jobs.state_of(read(job))["state"] == "done"


def test_an_orphan_goes_back_to_its_queue(job):
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING, attempt=1, started_at=timezone.now())
    assert recovery.requeue_or_fail_orphans(Job.objects.filter(pk=job.pk)) == 1
    assert (read(job).state, read(job).crash_count, read(job).dispatched_at) == (State.QUEUED, 1, None)


def test_a_job_that_crashed_three_workers_fails_with_a_message(job):
    for _ in range(recovery.MAX_CRASHES):
        Job.objects.filter(pk=job.pk).update(state=State.RUNNING, started_at=timezone.now())
        recovery.requeue_or_fail_orphans(Job.objects.filter(pk=job.pk))
    assert (read(job).state, read(job).message) == (State.FAILED, jobs.user_messages.CRASHED_TOO_OFTEN)


@pytest.mark.usefixtures("short_lease")
def test_the_next_import_of_an_owner_starts_when_one_has_crashed_three_workers(alice, broker):
    crashed, following = (jobs.create(IMPORT, owner_id=alice.pk, arguments={}) for _ in range(2))
    running = {"state": State.RUNNING, "attempt": 3, "crash_count": 2, "started_at": timezone.now()}
    Job.objects.filter(pk=crashed.pk).update(**running)
    assert read(following).dispatched_at is None

    def fail_orphan() -> bool:
        recovery.recover_orphans()
        return read(crashed).state == State.FAILED

    wait_until(fail_orphan, "the job to fail")
    assert read(following).dispatched_at is not None


def test_a_checkpoint_resets_the_crash_count(job):
    Job.objects.filter(pk=job.pk).update(crash_count=recovery.MAX_CRASHES - 1)
    with jobs.working_on(str(job.id)) as attempt:
        attempt.save({"records": 5}, {})
        assert read(job).crash_count == 0


@pytest.mark.usefixtures("short_lease")
def test_a_running_job_is_an_orphan_only_if_nobody_holds_its_lock_and_it_reports_nothing(job, alice):
    reporting, orphan = (
        jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={}) for _ in range(2)
    )
    for each in (job, reporting, orphan):
        Job.objects.filter(pk=each.pk).update(state=State.RUNNING, started_at=timezone.now())

    def found() -> list[Job]:
        progress.Progress(reporting.id, alice.pk).report(1, 2, "going on")
        return list(recovery.orphans())

    with locks.exclusive(f"job:{job.id}", lease=30):
        wait_until(found, "an orphan")
        assert found() == [orphan]


def test_a_job_stays_queued_while_the_server_of_the_locks_is_away(job, settings):
    away = settings.CACHES["locks"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"locks": away}
    with pytest.raises(Ignore), jobs.working_on(str(job.id)):
        pytest.fail("nobody can know that it is alone")
    assert (read(job).state, read(job).dispatched_at) == (State.QUEUED, None)


def test_a_second_delivery_before_the_claim_does_not_delay_the_job(job):
    with locks.exclusive(f"job:{job.id}", lease=30), pytest.raises(Ignore), jobs.working_on(str(job.id)):
        pytest.fail("somebody else has its lock")
    with jobs.working_on(str(job.id)):
        assert read(job).state == State.RUNNING
