"""A killed worker is a fault until another one of its kind has started in its place."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from redis import Redis

from devtools.processes import wait_until
from workers.telemetry import liveness
from workers.telemetry.liveness import Worker, not_replaced

Start = Callable[..., subprocess.Popen]


def lived(started: float, until: float, name: str = "video@a", *queues: str) -> Worker:
    """Times: seconds ago."""
    now = time.time()
    return Worker(name, list(queues or ("video",)), now - started, now - until)


def named(*workers: Worker) -> list[int]:
    """The places of those that are named."""
    return sorted(workers.index(worker) for worker in not_replaced([*workers]))


def test_a_dead_worker_is_named():
    assert named(lived(500, 60), lived(500, 0, "video@b")) == [0]


def test_one_that_another_one_has_replaced_is_not():
    assert named(lived(500, 60), lived(50, 0, "video@b")) == []


def test_one_replacement_stands_in_for_one():
    assert named(lived(500, 60), lived(500, 61, "video@b"), lived(50, 0, "video@c")) == [1]


def test_a_worker_that_dies_again_and_again_is_named_once_or_not_at_all():
    first, second, third = lived(500, 300), lived(290, 200), lived(190, 100)
    assert named(first, second, third, lived(90, 0)) == []
    assert named(first, second, third) == [2]


def test_another_kind_or_fewer_queues_are_no_replacement():
    dead = lived(500, 60, "highmem@a", "imports", "highmem")
    assert named(dead, lived(50, 0, "default@b", "imports", "highmem")) == [0]
    assert named(dead, lived(50, 0, "highmem@b", "highmem")) == [0]
    assert named(dead, lived(50, 0, "highmem@b", "highmem", "imports", "maintenance")) == []


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_is_named_until_its_replacement_is_up(start: Start, broker: Redis, monkeypatch):
    worker = start("video")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 5)

    def is_named() -> bool:
        return "has been silent" in " ".join(liveness.faults())

    wait_until(is_named, "it to be named")
    start("video")
    wait_until(lambda: not is_named(), "the replacement")
    assert len(liveness.read_workers()) == 2
