"""Workers beside each other: ours and plain ones, which take turns at the same number of messages."""

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
    """A worker that reads the queue `default` of a broker of its own; messages: how to send to it."""

    process: psutil.Process
    broker: Redis
    messages: Celery

    def work_off(self, task: str, count: int) -> tuple[float, float]:
        """Seconds of the clock and of all its processes' CPU for so many messages, which wait there at the start."""
        self.process.suspend()
        with self.messages.connection_for_write() as connection, self.messages.amqp.Producer(connection) as producer:
            for _ in range(count):
                self.messages.send_task(task, queue="default", producer=producer)
        cpu, began = self.cpu(), time.monotonic()
        self.process.resume()
        wait_until(self.is_done, f"{count} runs of {task}", interval=0.02)
        return time.monotonic() - began, self.cpu() - cpu

    def is_done(self) -> bool:
        """Nothing waits, nothing is in the worker's hands. One that acknowledges early is done a moment later."""
        return not (self.broker.llen("default") or self.broker.hlen("unacked"))

    def cpu(self) -> float:
        """Seconds of its main process and of its pool."""
        times = [each.cpu_times() for each in (self.process, *self.process.children())]
        return float(sum(each.user + each.system for each in times))


@contextmanager
def contender(app: str, database: int) -> Iterator[Contender]:
    """The Procfile's default worker running `app`: the same pool, the same options on its command line."""
    url = urlsplit(os.environ["BROKER_URL"])._replace(path=f"/{database}").geturl()
    ours = app == "config"
    variables = {"CELERY_WORKER_INCLUDE": "bench.tasks,bench.guarded"} if ours else {"DJANGO_SETTINGS_MODULE": ""}
    messages = Celery(app, broker=url, set_as_current=False)
    with worker("default", app=app, BROKER_URL=url, **variables) as process, from_url(url) as broker:
        yield Contender(psutil.Process(process.pid), broker, messages)
