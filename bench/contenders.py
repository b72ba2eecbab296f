"""Workers that take turns at the same number of messages: ours, and plain Celery's."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
from celery import Celery
from redis import Redis, from_url

from devtools.processes import wait_until, worker


@dataclass(frozen=True)
class Contender:
    """A worker that consumes the queue `default` of a broker of its own. app: publishes to that broker."""

    process: psutil.Process
    broker: Redis
    app: Celery

    def run_tasks(self, task: str, count: int) -> tuple[float, float]:
        """Wall seconds and CPU seconds of the worker for `count` messages, all of which wait before it starts."""
        self.process.suspend()
        with self.app.connection_for_write() as connection, self.app.amqp.Producer(connection) as producer:
            for _ in range(count):
                self.app.send_task(task, queue="default", producer=producer)
        cpu, began = self.cpu_seconds(), time.monotonic()
        self.process.resume()
        wait_until(self.is_done, f"{count} runs of {task}", interval=0.02)
        return time.monotonic() - began, self.cpu_seconds() - cpu

    def is_done(self) -> bool:
        """Whether no message is ready or unacknowledged. With early acknowledgement a task may still run."""
        return not (self.broker.llen("default") or self.broker.hlen("unacked"))

    def cpu_seconds(self) -> float:
        """Of the main process and its pool."""
        times = [each.cpu_times() for each in (self.process, *self.process.children())]
        return float(sum(each.user + each.system for each in times))


@contextmanager
def contender(app: str, database: int, **more: str) -> Iterator[Contender]:
    """The Procfile's default worker running `app`: the same pool and options. database: its broker's number.

    more: its environment.
    """
    url = urlsplit(os.environ["BROKER_URL"])._replace(path=f"/{database}").geturl()
    is_ours = app == "config"
    variables = {"CELERY_WORKER_INCLUDE": "bench.tasks,bench.guarded"} if is_ours else {"DJANGO_SETTINGS_MODULE": ""}
    publisher = Celery(app, broker=url, set_as_current=False)
    with worker("default", app=app, BROKER_URL=url, **variables, **more) as process, from_url(url) as broker:
        yield Contender(psutil.Process(process.pid), broker, publisher)
