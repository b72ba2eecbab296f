"""Practice 7: each task has a time limit, and the schedule sends the tasks that collect the runs."""

import pytest
from celery import current_app

from workers.practices import timing
from workers.queues import load_tasks


def test_check_is_silent_for_the_shipped_files():
    assert timing.check() == []


def test_check_fires_for_a_task_without_a_hard_limit(monkeypatch):
    monkeypatch.setattr(load_tasks()["workers.default.tasks.sweep_jobs"], "time_limit", None)
    (message,) = timing.check()
    assert message.id == "practices.E701"
    assert "sweep_jobs" in message.msg


def test_check_fires_for_a_hard_limit_below_the_soft_one(monkeypatch):
    task = load_tasks()["workers.default.tasks.sweep_jobs"]
    monkeypatch.setattr(task, "time_limit", task.soft_time_limit - 1)
    (message,) = timing.check()
    assert message.id == "practices.E703"
    assert "sweep_jobs" in message.msg


@pytest.mark.parametrize("task", ["collect_runs", "roll_up_runs"])
def test_check_fires_for_a_telemetry_task_that_is_not_scheduled(monkeypatch, task):
    (ours,) = (name for name, e in current_app.conf.beat_schedule.items() if e["task"].endswith(task))
    monkeypatch.delitem(current_app.conf.beat_schedule, ours)
    (message,) = timing.check()
    assert (message.id, task in message.msg) == ("practices.E702", True)
