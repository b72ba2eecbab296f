"""The types of the table of workers, queues and tasks in config/queues.py.

Import no Django model here: the settings import this module.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from inspect import signature

from celery import Task, current_app
from django.conf import settings

SHORT_RUN_SECONDS = 10  # the time limit of a task that sets none: people wait behind it


class QueueKind(StrEnum):
    """TIME_SENSITIVE: people wait. HUNGRY: its tasks need a machine with more memory."""

    TIME_SENSITIVE = "time-sensitive"
    REGULAR = "regular"
    HUNGRY = "hungry"


@dataclass(frozen=True)
class Queue:
    """target_seconds: the wait that its users accept. max_messages: where a publish is refused, or the reason for no
    limit. max_run_seconds: the longest run of a task; RabbitMQ delivers its message again after twice as long.
    in_turns: owners take turns, and none holds up the others with many jobs (workers/jobs/turns.py).
    serialize_by: the argument of its jobs that names their table. With it, an owner's next job waits until his last one
    has ended.
    max_writers: of one table, over all owners.
    """

    name: str
    target_seconds: int
    tasks: tuple[str, ...]
    kind: QueueKind = QueueKind.REGULAR
    max_messages: int | str = ""
    max_run_seconds: int = SHORT_RUN_SECONDS
    in_turns: bool = False
    serialize_by: str = ""
    max_writers: int = 1


@dataclass(frozen=True)
class Worker:
    """name: its folder under workers/, its line in the Procfile, its service in docker-compose.yml.

    concurrency: processes of its pool. queues: no other worker consumes them.
    """

    name: str
    concurrency: int
    queues: tuple[Queue, ...]

    @property
    def is_hungry(self) -> bool:
        return any(queue.kind == QueueKind.HUNGRY for queue in self.queues)

    @property
    def is_time_sensitive(self) -> bool:
        return any(queue.kind == QueueKind.TIME_SENSITIVE for queue in self.queues)


@dataclass(frozen=True)
class Table:
    """canary_task: answers the canary of practice 8. telemetry_tasks: the schedule must send them.

    broker_tasks: each opens a connection of its own to the broker. sweep_task: publishes the jobs without a message.
    """

    workers: tuple[Worker, ...]
    canary_task: str = ""
    telemetry_tasks: tuple[str, ...] = ()
    broker_tasks: tuple[str, ...] = ()
    sweep_task: str = ""

    @cached_property
    def queues(self) -> dict[str, Queue]:
        return {queue.name: queue for worker in self.workers for queue in worker.queues}

    @cached_property
    def routes(self) -> dict[str, dict[str, str]]:
        return {task: {"queue": queue.name} for queue in self.queues.values() for task in queue.tasks}

    @cached_property
    def task_modules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(task.rpartition(".")[0] for task in self.routes))

    @cached_property
    def named_tasks(self) -> set[str]:
        return {self.canary_task, *self.telemetry_tasks, *self.broker_tasks, self.sweep_task} - {""}

    @cached_property
    def repeated_tasks(self) -> set[str]:
        names = Counter(task for queue in self.queues.values() for task in queue.tasks)
        return {name for name, count in names.items() if count > 1}

    @cached_property
    def consumers(self) -> dict[str, str]:
        """The worker's name by queue."""
        return {queue.name: worker.name for worker in self.workers for queue in worker.queues}

    def queue_of(self, task: str) -> str:
        """Raises LookupError for a task that the table does not have."""
        try:
            return self.routes[task]["queue"]
        except KeyError:
            raise LookupError(f"{task} stands in no queue of config/queues.py") from None


def table() -> Table:
    found: Table = settings.QUEUE_TABLE
    return found


def load_tasks() -> dict[str, Task]:
    """All tasks of the packages that the table's tasks are in, by name. Skips missing modules."""
    for module in table().task_modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # the module exists, and something that it imports does not
    packages = {module.partition(".")[0] for module in table().task_modules}
    return {name: task for name, task in current_app.tasks.items() if name.partition(".")[0] in packages}


def is_given_job(task: Task) -> bool:
    """Whether its message is a job's id: by its parameter, or because its queue shares its turns among jobs."""
    queue = table().queues.get(table().routes.get(task.name, {}).get("queue", ""))
    takes_turns = queue is not None and (queue.in_turns or bool(queue.serialize_by))
    return takes_turns or "job_id" in signature(task.run).parameters
