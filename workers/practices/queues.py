"""Practice 3: what can clog a queue has its own queue and its own worker.

The trap: one worker reads everything, and a password-reset mail waits behind two hours of video. Here every task has
one queue, every queue one worker, and a worker is a folder, a Procfile line and a service by the same word. This
table is the only place that says which; routes, declarations, pages and checks read it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.utils import timezone
from kombu import Exchange
from kombu import Queue as Declaration

from workers.practices import Finding


@dataclass(frozen=True)
class Queue:
    """target: seconds of waiting that its users accept. tasks: everything that may be sent to it.

    limit: messages at which RabbitMQ takes no more (a job that finds no room stays in its row and is sent later), or
    the reason for none. At 2 KB a message (SERVER-FACTS 2) 10,000 of them are 20 MB.
    """

    name: str
    target: int
    tasks: tuple[str, ...]
    limit: int | str = ""


@dataclass(frozen=True)
class Worker:
    """name: the folder under workers/ and the process type. queues: what it reads, and nobody else does."""

    name: str
    concurrency: int
    queues: tuple[Queue, ...]


WORKERS = (
    Worker(
        "default",
        concurrency=4,
        queues=(
            Queue("urgent", target=5, limit=10_000, tasks=("workers.default.tasks.send_password_reset",)),
            Queue(
                "default",
                target=30,
                limit=1_000,
                tasks=(
                    "workers.default.tasks.sweep_jobs",
                    "workers.default.tasks.collect_runs",
                    "workers.default.tasks.roll_up_runs",
                    "workers.default.tasks.answer_canary",
                    "workers.default.tasks.delete_old",
                ),
            ),
        ),
    ),
    Worker(
        "video",
        concurrency=1,
        queues=(Queue("video", target=600, limit=10_000, tasks=("workers.video.tasks.transcode_video",)),),
    ),
    Worker(
        "highmem",
        concurrency=1,
        queues=(
            Queue("imports", target=60, limit=10_000, tasks=("workers.highmem.tasks.import_catalogue",)),
            Queue("highmem", target=600, limit=10_000, tasks=()),
        ),
    ),
)
QUEUES = {queue.name: queue for worker in WORKERS for queue in worker.queues}
ROUTES = {task: {"queue": queue.name} for queue in QUEUES.values() for task in queue.tasks}
DEAD = "dead"  # where RabbitMQ keeps what expired, or came back too often
TASK_MODULES = tuple(f"workers.{worker.name}.tasks" for worker in WORKERS)


def queue_of(task: str) -> str:
    """The queue that a task belongs to. Raises LookupError for a task that the table does not know."""
    try:
        return ROUTES[task]["queue"]
    except KeyError:
        raise LookupError(f"{task} stands in no queue of workers/practices/queues.py") from None


def declarations(*, amqp: bool) -> list[Declaration]:
    """The queues as kombu declares them.

    On RabbitMQ: quorum queues (a restarted node loses nothing) on a topic exchange, since a countdown on a direct one
    blocks the whole worker. On Redis: direct, since an evicted topic binding loses messages silently (CELERY-FACTS 2).
    Only what never changes is an argument: a queue that is there refuses others. Its limit is a policy (practice 1).
    """
    exchange = Exchange("mediaapp", type="topic" if amqp else "direct")
    dead_letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD, "x-delivery-limit": 50}
    arguments = {"x-queue-type": "quorum"} | dead_letters if amqp else {}
    return [Declaration(name, exchange, routing_key=name, queue_arguments=arguments) for name in QUEUES]


def read_queues(text: str) -> Iterator[tuple[str, list[str]]]:
    """(worker, queues) for each worker command in a Procfile, an app.json or a compose file."""
    for command in re.findall(r"celery .*worker .*", text):
        hostname = re.search(r"--hostname[ =](\w+)", command)
        queues = re.search(r"--queues[ =]([\w,]+)", command)
        yield hostname.group(1) if hostname else "", queues.group(1).split(",") if queues else []


def check() -> list[CheckMessage]:
    """E301: a process file disagrees with the table. E302: a task without a queue, or a queue's task without code."""
    wanted = {worker.name: [queue.name for queue in worker.queues] for worker in WORKERS}
    messages: list[CheckMessage] = []
    for name in ("Procfile", "docker-compose.yml"):
        path = Path(settings.BASE_DIR) / name
        found = dict(read_queues(path.read_text())) if path.exists() else wanted
        messages += [
            Error(
                f"{name}: the {worker} worker reads {', '.join(found.get(worker, [])) or 'no queue'}.",
                hint=f"Write --hostname {worker}@%h --queues {','.join(queues)}. Else a queue fills for ever.",
                id="practices.E301",
            )
            for worker, queues in wanted.items()
            if found.get(worker) != queues
        ] + [
            Error(
                f"{name}: no worker is called {worker}.",
                hint="See WORKERS in queues.py.",
                id="practices.E301",
            )
            for worker in found.keys() - wanted.keys()
        ]
    for module in TASK_MODULES:
        import_module(module)
    registered = {task for task in current_app.tasks if task.startswith("workers.")}
    return messages + [
        Error(
            f"{task} is in the table or in the code, but not in both.",
            hint="Name every task once, under its queue, in workers/practices/queues.py.",
            id="practices.E302",
        )
        for task in sorted(registered ^ ROUTES.keys())
    ]


def verify() -> Finding:
    """Holds while no urgent job has waited longer than its target."""
    # By name: the Celery app imports this table before Django's models are there.
    queued = apps.get_model("workers.Job").objects.filter(state="queued")
    target = QUEUES["urgent"].target
    try:
        oldest = queued.filter(queue="urgent").order_by("queued_at").values_list("queued_at").first()
        behind = queued.exclude(queue="urgent").count()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    waited = (timezone.now() - oldest[0]).total_seconds() if oldest else 0.0
    figure = f"urgent waits {waited:.1f} s, {behind} others queued"
    if waited > target:
        return Finding(
            False,
            figure,
            f"An urgent job has waited longer than its {target} s. Is the default worker up?",
        )
    return Finding(True, figure)
