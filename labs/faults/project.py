"""A Celery project on an empty broker: its processes, and the ledger that its tasks write."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from celery import Celery
from django.conf import settings

from config.celery import app as site
from devtools.processes import Process, ready_process, wait_until
from labs.faults.brokers import Broker
from workers.brokers.connection import count_ready, is_amqp
from workers.brokers.declarations import declarations

PLAIN, SITE = "labs.faults.plain_app", "labs.faults.site_app"


@dataclass
class Project:
    """module: the Celery app. queue: the one that its worker consumes. options: of Celery, for its workers and us."""

    module: str
    broker: Broker
    options: dict[str, Any]
    stack: ExitStack
    folder: Path
    queue: str = field(init=False)

    def __post_init__(self) -> None:
        self.queue = "celery" if self.module == PLAIN else "highmem"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def start_worker(self, *words: str, concurrency: int = 1, **variables: str) -> Process:
        """It is ready when this returns, and is killed with the project."""
        number = len(list(self.folder.glob("worker*.log")))
        name = f"{'highmem' if self.module == SITE else 'plain'}{number}@%h"
        own = ["--queues", self.queue, "--hostname", name, "--concurrency", str(concurrency), *words]
        command = [sys.executable, "-m", "celery", "--quiet", "--app", self.module, "worker", *own]
        files = {"log": self.folder / f"worker{number}.log", "ready": self.folder / f"ready{number}"}
        started = ready_process("worker", command, self.variables() | variables, **files)
        return self.stack.enter_context(started)

    def variables(self) -> dict[str, str]:
        """A tutorial's app knows no Django; the site's workers have the variable of its Procfile."""
        of_module = {"DJANGO_SETTINGS_MODULE": ""} if self.module == PLAIN else {"REMAP_SIGTERM": "SIGQUIT"}
        return of_module | {"LEDGER": str(self.ledger), "FAULT_OPTIONS": json.dumps(self.options)}

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables()}

    def client(self) -> Celery:
        """A new app, whose connections know no queue that an earlier project has declared."""
        client = Celery("client", broker=settings.BROKER_URL, set_as_current=False)
        client.conf.update(self.options)
        if self.module == SITE:
            client.conf.task_queues = declarations(amqp=is_amqp())
        return client

    def send(self, task: str, *args: Any, **options: Any) -> str:
        client = self.client()
        with client.connection_for_write() as connection:
            options = {"queue": self.queue, "connection": connection} | options
            return str(client.send_task(task, args=args, **options).id)

    def events(self) -> list[str]:
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def count(self, event: str) -> int:
        return sum(line.startswith(event) for line in self.events())

    def wait_for(self, event: str, count: int = 1) -> None:
        wait_until(lambda: self.count(event) >= count, f"{count} of {event!r} in {self.events()}", seconds=30)

    def has(self, event: str, count: int = 1, *, seconds: float) -> bool:
        """Whether it comes within so many seconds."""
        return comes_true(lambda: self.count(event) >= count, seconds)

    def ready(self) -> int:
        return count_ready(self.queue)


def comes_true(condition: Any, seconds: float) -> bool:
    try:
        wait_until(condition, seconds=seconds)
    except TimeoutError:
        return False
    return True


@contextmanager
def plain(broker: Broker, **options: Any) -> Iterator[Project]:
    with _project(PLAIN, broker, options) as project:
        yield project


@contextmanager
def of_site(broker: Broker, **options: Any) -> Iterator[Project]:
    with _project(SITE, broker, options) as project:
        yield project


@contextmanager
def _project(module: str, broker: Broker, options: dict[str, Any]) -> Iterator[Project]:
    broker.empty()
    with TemporaryDirectory(prefix="arm-") as folder, ExitStack() as stack:
        yield Project(module, broker, options, stack, Path(folder))


def site_options(*names: str) -> dict[str, Any]:
    """As config/celery.py has them for this broker."""
    return {name: site.conf[name] for name in names}


def children(process: Process) -> list[psutil.Process]:
    """Of a worker: its pool."""
    return psutil.Process(process.pid).children()


def signal_all(process: Process, signum: int) -> None:
    """As a platform of dynos does, and the kernel of a lost machine."""
    os.killpg(process.pid, signum)
