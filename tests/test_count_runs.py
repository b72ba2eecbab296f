"""Each run counts once in the totals that /metrics shows, in a bounded number of rows."""

from threading import Thread
from typing import Any

from django.db import IntegrityError, connection
from django.utils import timezone

from devtools.processes import wait_until
from workers.models import TaskRun, TaskTotal
from workers.queues import table
from workers.telemetry import rollups, task_totals

MAIL = "workers.default.tasks.send_password_reset"


def runs(*records: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Records by the id of their row."""
    now = timezone.now().timestamp()
    plain = {"task": MAIL, "queue": "urgent", "worker": "w", "release": "", "outcome": "succeeded", "ended_at": now}
    return {number: plain | record for number, record in enumerate(records)}


def test_runs_add_to_the_total_of_their_task_and_queue(db):
    rollups.store_runs(runs({"run_seconds": 0.3, "wait_seconds": 0.02}, {"run_seconds": 0.4, "outcome": "failed"}))
    later = {number + 10: run for number, run in runs({"run_seconds": 9_000.0}, {"outcome": "refused"}).items()}
    rollups.store_runs(later)
    total = TaskTotal.objects.get()
    assert (total.task, total.queue) == (MAIL, "urgent")
    assert total.outcomes == {"succeeded": 2, "failed": 1, "refused": 1}
    assert total.run_buckets == {"0.5": 2, "inf": 1}
    assert total.wait_buckets == {"0.02": 1}  # the bound belongs to its bucket, as Prometheus has it
    assert (total.run_seconds, total.wait_seconds) == (9_000.7, 0.02)


def test_only_runs_that_went_to_their_end_have_times(db):
    """A mail that was cancelled is refused long after, and an import hands itself back while it waits for a writer."""
    times = {"run_seconds": 0.01, "wait_seconds": 40.0}
    others = [times | {"outcome": outcome} for outcome in TaskRun.Outcome if outcome not in ("succeeded", "failed")]
    rollups.store_runs(runs({"run_seconds": 100.0, "wait_seconds": 600.0}, *others))
    total = TaskTotal.objects.get()
    assert (total.run_buckets, total.wait_buckets) == ({"120.0": 1}, {"600.0": 1})
    assert (total.run_seconds, total.wait_seconds) == (100, 600)


def test_a_run_that_is_stored_again_counts_once(db):
    """A collector was killed between its commit and the deletion of the stream's entries."""
    rollups.store_runs(runs({}, {}))
    rollups.store_runs(runs({}, {}, {}))
    assert TaskTotal.objects.get().outcomes == {"succeeded": 3}


def test_two_collectors_at_once_count_a_run_once(transactional_db, monkeypatch):
    """The first lost its lock and goes on."""
    failures: list[IntegrityError] = []

    def store_too() -> None:
        try:
            rollups.store_runs(runs({}, {}))
        except IntegrityError as error:
            failures.append(error)
        finally:
            connection.close()

    def count_beside_the_other(new: Any) -> None:
        task_totals.add_to_totals(new)
        monkeypatch.undo()
        other.start()  # it sees no row of ours yet, and waits for the end of our transaction
        wait_until(is_somebody_blocked, "the other collector")

    other = Thread(target=store_too)
    monkeypatch.setattr(rollups, "add_to_totals", count_beside_the_other)
    rollups.store_runs(runs({}, {}))
    other.join()
    assert len(failures) == 1
    assert TaskTotal.objects.get().outcomes == {"succeeded": 2}


def is_somebody_blocked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def test_names_that_the_table_does_not_have_count_together(db):
    strange = [{"task": f"invented.{number}", "queue": f"invented {number}"} for number in range(50)]
    rollups.store_runs(runs(*strange, {"task": "invented"}, {"queue": "invented"}))
    totals = {(total.task, total.queue): total.outcomes["succeeded"] for total in TaskTotal.objects.all()}
    assert totals == {("other", "other"): 50, ("other", "urgent"): 1, (MAIL, "other"): 1}


def test_each_target_is_the_bound_of_a_bucket():
    """So the share of runs that waited at most the target is exact."""
    targets = {float(queue.target_seconds) for queue in table().queues.values()}
    assert targets <= set(task_totals.bucket_bounds())
