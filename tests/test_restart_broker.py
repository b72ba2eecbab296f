"""The broker restarts while a worker is busy: the worker goes on, and takes new messages."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.processes import wait_until
from tests.brokers import Broker

pytestmark = pytest.mark.django_db(transaction=True)
TASKS = {"CELERY_WORKER_INCLUDE": "tests.tasks"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.kill()


@pytest.mark.parametrize("ends", ["while it is away", "after it is back"])
def test_a_worker_takes_new_messages_after_a_restart(broker: Broker, start: Callable, tmp_path: Path, ends: str):
    start("video", BROKER_URL=broker.url, **TASKS)
    go, begun, done = tmp_path / "go", tmp_path / "begun", tmp_path / "done"
    broker.send("tests.tasks.wait_for", str(begun), str(go))
    wait_until(begun.exists, "the task to begin")
    broker.kill()
    if ends == "while it is away":
        go.touch()
        wait_until(lambda: (tmp_path / "begun.over").exists(), "the task to end")
        broker.start()
    else:
        broker.start()
        go.touch()
    broker.send("tests.tasks.touch", str(done))
    wait_until(done.exists, "the next task")
