"""The types of the table of workers, queues and tasks. The table itself is the project's: config/queues.py.

Everything that routes, declares, counts or checks reads it by `table()`. No Django model is imported here, so that the
Celery app, the schedule and the settings may import this module before Django's apps are loaded.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib import import_module

from celery import Task, current_app
from django.conf import settings


class Kind(StrEnum):
    """What a queue is for. TIME_SENSITIVE: people wait. HUNGRY: its tasks need a machine with more memory."""

    TIME_SENSITIVE = "time-sensitive"
    REGULAR = "regular"
    HUNGRY = "hungry"


@dataclass(frozen=True)
class Queue:
    """A queue and everything that may be sent to it.

    target_seconds: the wait that its users accept. max_messages: where RabbitMQ refuses more (a refused job stays in
    its row and is sent later), or the reason for no limit. max_run_seconds: what a task of it may take; RabbitMQ gives
    a message to another worker after twice as long. serialize_by: the argument of its jobs that names what only one of
    them may write at a time; "" for none.
    """

    name: str
    target_seconds: int
    tasks: tuple[str, ...]
    kind: Kind = Kind.REGULAR
    max_messages: int | str = ""
    max_run_seconds: int = 30
    serialize_by: str = ""


@dataclass(frozen=True)
class Worker:
    """A process type. name: its folder under workers/, its line in the Procfile, its service in docker-compose.yml.

    concurrency: processes of its pool. queues: what it consumes, and no other worker does.
    """

    name: str
    concurrency: int
    queues: tuple[Queue, ...]

    @property
    def is_hungry(self) -> bool:
        return any(queue.kind == Kind.HUNGRY for queue in self.queues)

    @property
    def is_time_sensitive(self) -> bool:
        return any(queue.kind == Kind.TIME_SENSITIVE for queue in self.queues)


@dataclass(frozen=True)
class Table:
    """All workers, and the tasks that have a part in a practice.

    canary_task: answers the canary of practice 8; it takes a queue's name. telemetry_tasks: the schedule must send
    them, or no run is recorded (practice 7). broker_tasks: they open a connection of their own to the broker.
    """

    workers: tuple[Worker, ...]
    canary_task: str
    telemetry_tasks: tuple[str, ...]
    broker_tasks: tuple[str, ...] = ()

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """By name."""
        return {queue.name: queue for worker in self.workers for queue in worker.queues}

    @cached_property
    def routes(self) -> dict[str, dict[str, str]]:
        """For Celery's `task_routes`."""
        return {task: {"queue": queue.name} for queue in self.queues.values() for task in queue.tasks}

    @cached_property
    def task_modules(self) -> tuple[str, ...]:
        """For Celery's `imports`."""
        return tuple(dict.fromkeys(task.rpartition(".")[0] for task in self.routes))

    @cached_property
    def named_tasks(self) -> set[str]:
        """Those that have a part in a practice."""
        return {self.canary_task, *self.telemetry_tasks, *self.broker_tasks}

    @cached_property
    def consumers(self) -> dict[str, str]:
        """The name of the worker that consumes each queue."""
        return {queue.name: worker.name for worker in self.workers for queue in worker.queues}

    def queue_of(self, task: str) -> str:
        """The name of a task's queue. Raises LookupError for a task that the table does not have."""
        try:
            return self.routes[task]["queue"]
        except KeyError:
            raise LookupError(f"{task} stands in no queue of config/queues.py") from None


def table() -> Table:
    """The project's table, `QUEUE_TABLE` in the settings."""
    found: Table = settings.QUEUE_TABLE
    return found


def load_tasks() -> dict[str, Task]:
    """Imports the table's task modules that exist. Returns all tasks of their top-level packages, by name."""
    for module in table().task_modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # the module exists, and something that it imports does not
    packages = {module.partition(".")[0] for module in table().task_modules}
    return {name: task for name, task in current_app.tasks.items() if name.partition(".")[0] in packages}
