"""The imports of an owner take turns, a table has few writers, and none holds a worker slot while it waits."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from devtools.processes import wait_until
from mediaapp.models import CatalogueItem, User
from mediaapp.uploads.receive import store_upload
from tests.outages import make_unreachable
from workers import jobs
from workers.jobs.attempt import Attempt, RetryLater
from workers.models import Job
from workers.practices import concurrency, locks
from workers.telemetry.held_locks import PREFIX, held_locks

TASK = "workers.highmem.tasks.import_catalogue"
TABLE = "mediaapp.CatalogueItem"


def test_a_second_import_of_an_owner_into_the_table_finds_it_busy():
    with concurrency.one_writer(TABLE, 1, 2), pytest.raises(locks.Busy), concurrency.one_writer(TABLE, 1, 2):
        pytest.fail("two writers")


def test_two_owners_write_at_once_and_a_third_finds_no_place():
    with concurrency.one_writer(TABLE, 1, 2), concurrency.one_writer(TABLE, 2, 2):
        with pytest.raises(locks.Busy), concurrency.one_writer(TABLE, 3, 2):
            pytest.fail("three writers")
        assert sorted(lock.name for lock in held_locks()) == [
            *(f"import:{TABLE}:{owner}" for owner in (1, 2)),
            *(f"writer:{TABLE}:{place}" for place in (1, 2)),
        ]
    with concurrency.one_writer(TABLE, 3, 2):
        assert len(held_locks()) == 2


def test_imports_into_two_tables_run_at_once():
    with concurrency.one_writer(TABLE, 1, 1), concurrency.one_writer("mediaapp.Other", 1, 1):
        assert len(held_locks()) == 4


def test_an_error_of_the_work_is_not_taken_for_a_busy_table():
    with pytest.raises(locks.Busy, match="of the work"), concurrency.one_writer(TABLE, 1, 2):
        raise locks.Busy("of the work")
    assert held_locks() == []


def test_its_job_comes_again_after_a_pause_while_the_locks_are_away(alice, settings):
    row = Job.objects.create(task=TASK, queue="imports", owner=alice, attempt=1, queued_at=timezone.now())
    make_unreachable(settings, "locks")
    with pytest.raises(RetryLater), Attempt(row, locks.Lease("job")).writing_to(TABLE):
        pytest.fail("it may not be alone")


def test_an_import_that_finds_its_owners_rows_locked_goes_back_to_its_queue(alice, start: Callable):
    waiting = store_upload(alice, csv_file("one"))
    with locks.exclusive(f"import:{TABLE}:{alice.pk}", lease=30):
        start("highmem")
        wait_until(lambda: Job.objects.get(pk=waiting.pk).not_before, "the job to be handed back")
        job = Job.objects.get(pk=waiting.pk)
        assert (job.state, job.queue) == (Job.State.QUEUED, "imports")
        assert jobs.state_of(job)["message"] == "Waiting for another import to end."
    Job.objects.update(not_before=timezone.now())
    jobs.sweep()
    wait_until(lambda: Job.objects.get(pk=waiting.pk).is_final, "the import")
    assert CatalogueItem.objects.get().title == "one"


def csv_file(name: str) -> ContentFile:
    return ContentFile(f"external_id,title\n{name},{name}\n".encode(), name=f"{name}.csv")


def test_the_end_of_a_writer_wakes_the_import_that_waits_longest_for_a_place(alice, bob, broker):
    def job_of(owner: User, seconds_ago: int, **fields: Any) -> Job:
        queued_at = timezone.now() - timezone.timedelta(seconds=seconds_ago)
        return Job.objects.create(task=TASK, queue="imports", owner=owner, queued_at=queued_at, **fields)

    later = timezone.now() + timezone.timedelta(minutes=1)
    message = jobs.user_messages.WAITING_FOR_WRITERS
    younger = job_of(bob, 10, not_before=later, message=message)
    oldest = job_of(
        User.objects.create(username="carol", email="carol@example.com"), 20, not_before=later, message=message
    )
    other = job_of(
        User.objects.create(username="dave", email="dave@example.com"),
        30,
        not_before=later,
        message="The storage is away.",
    )
    with Attempt(job_of(alice, 40, state=Job.State.RUNNING), locks.Lease("job")).writing_to(TABLE):
        assert broker.llen("imports") == 0
    assert [Job.objects.get(pk=job.pk).dispatched_at is None for job in (oldest, younger, other)] == [False, True, True]
    assert broker.llen("imports") == 1


def test_six_imports_of_an_owner_run_in_order_on_two_workers_and_none_finds_the_table_busy(alice, start: Callable):
    uploads = [store_upload(alice, csv_file(f"file {number}")) for number in range(6)]
    for _ in range(2):
        start("highmem")
    wait_until(lambda: Job.objects.filter(state=Job.State.DONE).count() == 6, "the imports", seconds=120)
    ran = list(Job.objects.order_by("started_at"))
    assert [job.pk for job in ran] == [upload.pk for upload in uploads]
    assert [job.attempt for job in ran] == [1] * 6
    assert all(before.finished_at <= after.started_at for before, after in pairwise(ran))


def test_verify_fails_while_two_imports_work_on_one_table(alice, start: Callable, monkeypatch, tmp_path: Path):
    """The lock of the first is given away, so that a second comes in: what the practice prevents, on real processes."""
    monkeypatch.setattr(concurrency, "CLAIM_GRACE", timezone.timedelta(0))
    mine = f"import:{TABLE}:{alice.pk}"
    with table_locked():  # so that an import stands still where it writes
        first = store_upload(alice, csv_file("A"))
        start("highmem", JOB_LEASE="7")
        wait_until(lambda: locks.is_held(mine), "the first import")
        assert f"1 on {TABLE}" in concurrency.verify().summary
        assert concurrency.verify().ok is True
        get_redis_connection("locks").set(f"{PREFIX}{mine}", "somebody else")
        # Not after a time: a holder that finds no key takes its lock again.
        wait_until(lambda: f"lock_lost lock={mine}" in (tmp_path / "highmem0.log").read_text(), "the lock to be lost")
        get_redis_connection("locks").delete(f"{PREFIX}{mine}")
        second = store_upload(alice, csv_file("B"))
        jobs.publish(Job.objects.get(pk=second.pk))  # out of turn
        start("highmem", JOB_LEASE="7")
        wait_until(lambda: concurrency.verify().ok is False, "both to be at work")
        assert f"2 on {TABLE}" in concurrency.verify().summary
        assert TABLE in concurrency.verify().reason
    wait_until(lambda: Job.objects.get(pk=second.pk).is_final, "the second one")
    wait_until(lambda: Job.objects.get(pk=first.pk).is_final, "the first one, which went back to its queue")
    assert Job.objects.get(pk=first.pk).crash_count == 0
    assert concurrency.verify().ok is True
    assert list(Job.objects.values_list("state", "message")) == [("done", "")] * 2
    assert sorted(CatalogueItem.objects.values_list("title", flat=True)) == ["A", "B"]


@contextmanager
def table_locked() -> Iterator[None]:
    """Nobody reads or writes the catalogue while the block runs."""
    with closing(connection.copy()) as another:
        another.set_autocommit(False)
        with another.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {CatalogueItem._meta.db_table}")
        yield


NOW = timezone.now()  # one moment for all: a busy machine takes a tenth of a second from one job to the next


def job(state: str, *span: float, **fields: Any) -> Job:
    """One that began, and ended if it did, so many seconds before NOW."""
    moments = [NOW - timezone.timedelta(seconds=seconds) for seconds in span]
    began, ended = (*moments, None)[:2]
    fields = {"queue": "imports", "arguments": {"table": TABLE}, "result": {"rows": 50_000}} | fields
    return Job.objects.create(task=TASK, state=state, queued_at=began, started_at=began, finished_at=ended, **fields)


@pytest.mark.django_db
def test_the_summary_has_the_throughput_of_the_last_imports_and_the_jobs_beside_them():
    assert concurrency.verify().summary == "imports at work: none; none has ended yet"
    job("done", 102, 100)
    assert "the last 1 wrote 25,000 rows/s, 0.0 jobs beside them" in concurrency.verify().summary
    job("failed", 101, 90, queue="highmem")  # beside half of it
    assert "25,000 rows/s, 0.5 jobs beside them" in concurrency.verify().summary
    job("running", 103, queue="highmem")  # beside all of it
    assert "25,000 rows/s, 1.5 jobs beside them" in concurrency.verify().summary


@pytest.mark.django_db
def test_a_resumed_import_counts_with_the_rows_of_its_last_attempt():
    job("done", 102, 100, attempt=3, result={"rows": 50_000, "rows_before": 40_000})
    assert "the last 1 wrote 5,000 rows/s" in concurrency.verify().summary


@pytest.mark.django_db
def test_jobs_of_other_workers_and_waiting_jobs_are_not_beside_an_import():
    job("done", 102, 100)
    job("running", 103, queue="video")
    job("done", 90, 80, queue="highmem")
    job("queued", 103, queue="highmem")
    job("cancelled", 103, 99, queue="highmem")
    assert "0.0 jobs beside them" in concurrency.verify().summary


@pytest.mark.django_db
def test_verify_ignores_an_import_that_was_claimed_a_moment_ago():
    job("running", 60)
    claimed = job("running", 60)
    Job.objects.filter(pk=claimed.pk).update(started_at=timezone.now())
    assert concurrency.verify().ok is True
    Job.objects.update(started_at=timezone.now() - timezone.timedelta(seconds=60))
    assert concurrency.verify().ok is False


@pytest.mark.parametrize("file", ["Procfile", "docker-compose.yml"])
@pytest.mark.parametrize(("option", "said"), [(" --concurrency 8", "runs 8 tasks"), ("", "runs any number of tasks")])
def test_check_fires_when_the_imports_worker_runs_several_at_once(settings, tmp_path, file, option, said):
    assert concurrency.check() == []
    texts = {each: (settings.BASE_DIR / each).read_text() for each in ("Procfile", "docker-compose.yml")}
    settings.BASE_DIR = tmp_path
    queues = "imports,highmem,maintenance"
    texts[file] = texts[file].replace(f"{queues} --concurrency 1", f"{queues}{option}")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (message,) = concurrency.check()
    assert message.id == "practices.E401"
    assert message.msg.startswith(f"{file}: the highmem worker {said}")
