"""A run whose whole worker is killed is counted as lost, once; a run that is only long is not."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from celery import current_app
from django_redis import get_redis_connection
from redis import Redis

from devtools.processes import wait_until
from workers.models import TaskRun
from workers.telemetry import rollups
from workers.telemetry.recorder import HEARTBEATS

Start = Callable[..., subprocess.Popen]
SILENT = 2  # seconds, for the 30 of the site


def outcomes() -> list[str]:
    rollups.collect_runs()
    return list(TaskRun.objects.values_list("outcome", flat=True))


def start_a_run(start: Start, begun: Path, go: Path) -> subprocess.Popen:
    """A worker, and in it a run that has lasted for longer than SILENT."""
    worker = start("default", CELERY_WORKER_INCLUDE="tests.tasks")
    current_app.send_task("tests.tasks.wait_for", args=[str(begun), str(go)], queue="default")
    wait_until(begun.exists, "the run")
    wait_until(lambda: last_seconds() > SILENT + 1, "a long run")
    return worker


def last_seconds() -> float:
    """How long the run that is alive has taken at its last sign of life."""
    signs = [json.loads(sign) for sign in get_redis_connection("locks").hvals(HEARTBEATS)]
    return max((sign["run_seconds"] for sign in signs), default=0.0)


def test_a_run_whose_whole_worker_is_killed_is_lost_once(start: Start, broker: Redis, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(rollups, "LOST_AFTER_SECONDS", SILENT)
    worker = start_a_run(start, tmp_path / "begun", tmp_path / "go")
    assert outcomes() == []
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(lambda: outcomes() == ["lost"], "the loss")
    assert outcomes() == ["lost"]
    assert TaskRun.objects.get().run_seconds > SILENT
    assert get_redis_connection("locks").hlen(HEARTBEATS) == 0


def test_a_run_that_is_only_long_is_not_lost(start: Start, broker: Redis, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(rollups, "LOST_AFTER_SECONDS", SILENT)
    start_a_run(start, tmp_path / "begun", tmp_path / "go")
    assert outcomes() == []
    (tmp_path / "go").touch()
    wait_until(outcomes, "its end")
    assert outcomes() == ["succeeded"]
