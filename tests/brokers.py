"""A broker of a test's own, which can be killed and started again."""

import signal
import subprocess
from pathlib import Path

from celery import current_app
from redis import Redis
from redis.exceptions import RedisError

from devtools.embedded import VALKEY
from devtools.ports import free_port
from devtools.processes import wait_until


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
