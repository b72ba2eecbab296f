"""The broker goes down and comes back while a worker is busy: the worker goes on, and takes what comes after."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import current_app
from redis import Redis
from redis.exceptions import RedisError

from mediaapp.embedded import VALKEY
from mediaapp.ports import free_port
from tests.conftest import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
TASKS = {"CELERY_WORKER_INCLUDE": "tests.tasks"}


class Broker:
    """A Valkey with its messages on disk, which can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [VALKEY, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.folder, "--appendonly", "yes"]
        self.process = subprocess.Popen([*command, "--appendfsync", "always"], stdout=subprocess.DEVNULL)
        wait_until(self.answers, "the broker")

    def answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as redis:
                return bool(redis.ping())
        except RedisError:
            return False

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def send(self, task: str, *args: object) -> None:
        with (
            current_app.connection_for_write(self.url) as connection,
            current_app.amqp.Producer(connection) as producer,
        ):
            current_app.send_task(task, args=args, queue="video", producer=producer)


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
