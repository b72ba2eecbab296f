"""The samples of a queue become hours: how much waited, how old the oldest was, what arrived and what ended."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from workers.models import QueueHour, QueueSample, TaskTotal
from workers.telemetry import queue_samples

pytestmark = pytest.mark.django_db
HOUR = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)


def sample(minute, queue="video", **figures):
    QueueSample.objects.create(queue=queue, taken_at=HOUR + timedelta(minutes=minute), **figures)


def rolled_up(queue="video"):
    queue_samples.roll_up_samples()
    return QueueHour.objects.filter(queue=queue).order_by("hour")


def test_an_hour_has_its_levels_and_its_flow():
    sample(-1, waiting=5, unacked=1, finished=100)
    sample(10, waiting=20, unacked=1, finished=110, oldest_seconds=30.0)
    sample(20, waiting=8, unacked=0, finished=130, oldest_seconds=90.0)
    sample(20, queue="urgent", waiting=3, unacked=0, finished=7)
    _, hour = rolled_up()
    assert (hour.hour, hour.waiting_p50, hour.waiting_max, hour.oldest_max) == (HOUR, 14, 20, 90)
    assert (hour.finished, hour.arrived) == (30, 32)  # 6 were there before the hour, and 8 are there at its end


def test_a_sample_without_figures_is_skipped():
    sample(0, waiting=10, unacked=0, finished=100)
    sample(10, oldest_seconds=700.0)
    sample(20, waiting=30, unacked=0, finished=105)
    (hour,) = rolled_up()
    assert (hour.waiting_max, hour.oldest_max, hour.finished, hour.arrived) == (30, 700, 5, 25)


def test_an_hour_without_a_count_of_runs_has_no_flow():
    sample(0, waiting=10, unacked=0)
    sample(30, waiting=20, unacked=0)
    (hour,) = rolled_up()
    assert (hour.waiting_max, hour.finished, hour.arrived) == (20, None, None)


def test_a_day_begins_with_the_last_sample_of_the_day_before():
    sample(-43 * 60, waiting=0, unacked=0, finished=100)  # where the last two days begin
    sample(-43 * 60 - 1, waiting=0, unacked=0, finished=90)
    assert rolled_up().get(hour=HOUR - timedelta(hours=43)).finished == 10


def test_the_first_sample_of_all_has_no_flow():
    sample(0, waiting=10, unacked=0, finished=1000)
    assert rolled_up().get().finished is None


def test_what_left_before_it_was_counted_is_no_negative_arrival():
    sample(0, waiting=10, unacked=0, finished=100)
    sample(50, waiting=0, unacked=0, finished=100)
    assert rolled_up().get().arrived == 0


def test_a_count_that_begins_anew_is_no_negative_flow():
    """After a restore from a backup, or by another release."""
    sample(0, waiting=0, unacked=0, finished=100)
    sample(10, waiting=0, unacked=0, finished=3)
    sample(20, waiting=0, unacked=0, finished=5)
    assert rolled_up().get().finished == 2


def test_an_hour_keeps_the_samples_that_the_retention_deletes(settings):
    settings.KEEP_RUNS_DAYS = 1
    at = timezone.now() - timedelta(days=1, minutes=-1)
    kept = QueueHour.objects.create(queue="video", hour=at.replace(minute=0, second=0, microsecond=0), waiting_max=7)
    QueueSample.objects.create(queue="video", taken_at=at, waiting=1)
    queue_samples.roll_up_samples()
    kept.refresh_from_db()
    assert kept.waiting_max == 7


def test_the_next_roll_up_counts_a_late_sample():
    sample(0, waiting=1, unacked=0, finished=1)
    rolled_up()
    sample(59, waiting=1, unacked=0, finished=4)
    assert rolled_up().get().finished == 3


def test_a_sample_counts_the_runs_that_ever_ended(broker):
    queue_samples.store_samples({})
    assert set(QueueSample.objects.values_list("finished", flat=True)) == {0}
    TaskTotal.objects.create(task="a", queue="video", outcomes={"succeeded": 7, "failed": 2})
    again = {"retried": 168, "refused": 3}  # an import that waits for a writer, and messages of cancelled jobs
    TaskTotal.objects.create(task="b", queue="video", outcomes={"succeeded": 1} | again)
    queue_samples.store_samples({})
    newest = QueueSample.objects.order_by("-pk")
    assert newest.filter(queue="video")[0].finished == 10
    assert newest.filter(queue="urgent")[0].finished == 0


def test_retention_deletes_hours_after_a_year(monkeypatch):
    monkeypatch.setattr(queue_samples, "DELETE_ROWS", 2)
    for days in (364, 366, 367, 368):
        QueueHour.objects.create(queue="video", hour=datetime.now(UTC) - timedelta(days=days))
    assert [queue_samples.delete_old_queue_hours() for _ in range(3)] == [2, 1, 0]
    assert QueueHour.objects.count() == 1
