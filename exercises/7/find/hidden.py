from datetime import timedelta

from django.utils import timezone

from workers.models import TaskHour, TaskRun
from workers.telemetry import slowdown

TASK = "exercise.tasks.fetch_price"
USUAL = [0.09, 0.11]  # seconds of two runs; the p95 is 0.12


def is_slower(last_hour, *, usual, runs):
    """Of a task whose last week has so many runs an hour, with this p95. last_hour: seconds of each run.

    Half of a usual hour's runs are shorter than 0.85 times the p95, and half of them are longer.
    """
    now = timezone.now()
    figures = {
        "queue": "default",
        "outcomes": {"succeeded": runs},
        "runs": runs,
        "run_p50": 0.85 * usual,
        "run_p95": usual,
    }
    TaskHour.objects.bulk_create(
        TaskHour(task=TASK, hour=now - timedelta(hours=age), **figures) for age in range(3, 160)
    )
    TaskRun.objects.bulk_create(
        TaskRun(id=(1 << 62) + number, task=TASK, outcome="succeeded", ended_at=now, run_seconds=seconds)
        for number, seconds in enumerate(last_hour)
    )
    (speed,) = slowdown.compare_with_last_week(TASK)
    return speed.is_slower


def test_two_long_runs_of_twenty_ring_no_alarm(db):
    """An hour of 20 runs, two of which are long, is an hour like others: one more than usual is chance."""
    assert not is_slower(USUAL * 9 + [0.5] * 2, usual=0.12, runs=20), "It counts as slower."


def test_five_long_runs_of_sixty_ring_no_alarm(db):
    """In an hour of 60 runs, three are expected above the p95. Five of them are chance."""
    assert not is_slower(USUAL * 27 + [0.11] + [0.5] * 5, usual=0.12, runs=60), "It counts as slower."


def test_three_long_runs_of_four_ring_no_alarm(db):
    """Four runs are too few to say much, even if three of them are long."""
    assert not is_slower([0.09] + [0.5] * 3, usual=0.12, runs=4), "It counts as slower."


def test_a_task_that_takes_three_times_as_long_rings(db):
    """A task of which all runs take three times as long is slower."""
    assert is_slower([0.3] * 20, usual=0.12, runs=20), "It does not count as slower."


def test_a_release_within_the_hour_rings(db):
    """Sixteen slow runs since a release, beside twenty of the older one in the same hour, are no chance."""
    assert is_slower(USUAL * 10 + [0.3] * 16, usual=0.12, runs=20), "It does not count as slower."


def test_a_task_that_is_a_little_slower_rings_no_alarm(db):
    """A task that takes a fifth longer than usual is not worth a mail."""
    assert not is_slower([1.2] * 40, usual=1.0, runs=40), "It counts as slower."
