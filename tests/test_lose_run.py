"""The run of a killed worker is recorded as lost, once; a long run is not."""

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
LOST_AFTER_SECONDS = 5  # 30 on the site, and until the worker is dead: a living one may be silent for seconds


def outcomes() -> list[str]:
    rollups.collect_runs()
    return list(TaskRun.objects.values_list("outcome", flat=True))


def start_long_run(start: Start, begun: Path, go: Path, seconds: float) -> subprocess.Popen:
    """A worker, and in it a run that has lasted for longer than so many seconds."""
    worker = start("default", CELERY_WORKER_INCLUDE="tests.tasks")
    current_app.send_task("tests.tasks.wait_for", args=[str(begun), str(go)], queue="default")
    wait_until(begun.exists, "the run")
    wait_until(lambda: last_run_seconds() > seconds + 1, "a long run")
    return worker


def last_run_seconds() -> float:
    """The run's time at its last heartbeat."""
    heartbeats = [json.loads(heartbeat) for heartbeat in get_redis_connection("locks").hvals(HEARTBEATS)]
    return max((heartbeat["run_seconds"] for heartbeat in heartbeats), default=0.0)


def test_the_run_of_a_killed_worker_is_lost_once(start: Start, broker: Redis, monkeypatch, tmp_path: Path):
    worker = start_long_run(start, tmp_path / "begun", tmp_path / "go", LOST_AFTER_SECONDS)
    assert outcomes() == []
    os.killpg(worker.pid, signal.SIGKILL)
    monkeypatch.setattr(rollups, "LOST_AFTER_SECONDS", LOST_AFTER_SECONDS)
    wait_until(lambda: outcomes() == ["lost"], "the loss")
    assert outcomes() == ["lost"]
    assert TaskRun.objects.get().run_seconds > LOST_AFTER_SECONDS
    assert get_redis_connection("locks").hlen(HEARTBEATS) == 0


def test_a_long_run_is_not_lost(start: Start, broker: Redis, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(rollups, "LOST_AFTER_SECONDS", 20)
    start_long_run(start, tmp_path / "begun", tmp_path / "go", 20)
    assert outcomes() == []
    (tmp_path / "go").touch()
    wait_until(outcomes, "its end")
    assert outcomes() == ["succeeded"]
