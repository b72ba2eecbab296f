"""The nine faults of labs/alarms.py: each breaks one practice for real, and can be mended."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_redis import get_redis_connection
from redis import from_url

from devtools.processes import Process, celery, procfile_command, ready_process, wait_until, worker
from devtools.rabbitmq import CTL
from labs import alarms_names as names
from workers import jobs
from workers.brokers.connection import is_amqp
from workers.models import Job, TaskHour, TaskRun
from workers.telemetry.held_locks import PREFIX

TASKS = {"CELERY_WORKER_INCLUDE": "labs.alarms_task"}
# Two run imports at once. A busy worker of RabbitMQ would hold a message of its other queues.
HIGHMEM = ("imports", "imports", "highmem,maintenance")


@dataclass(frozen=True)
class Fault:
    number: int
    name: str
    inject: Callable[[], object]
    mend: Callable[[], object]


class Workers:
    """The site's workers and beat, without the site."""

    def __init__(self, stack: ExitStack, alarms: Mapping[str, str]) -> None:
        self.stack, self.processes = stack, dict[str, Process]()
        for name in ("default", "video"):
            self.start(name)
        for number, queues in enumerate(HIGHMEM):
            command = procfile_command("highmem")
            command[command.index("--queues") + 1] = queues
            command[command.index("--hostname") + 1] = f"highmem@%h-{number}"
            stack.enter_context(ready_process("highmem", command, TASKS))
        self.processes["beat"] = stack.enter_context(celery("beat", "--pidfile=", app="config", **alarms))

    def start(self, name: str) -> None:
        self.processes[name] = self.stack.enter_context(worker(name, **TASKS))

    def kill(self, name: str) -> float:
        """With all that it has started. Returns the time."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()
        return time.monotonic()


def faults(workers: Workers) -> dict[int, Fault]:
    """In an order in which each can be broken while those before it stay so, and shows by itself."""
    return {each.number: each for each in (*_faults_of_rows(), _fault_of_broker(), *_faults_of_workers(workers))}


def _faults_of_rows() -> list[Fault]:
    endless, by_hand = PREFIX + "endless", PeriodicTask.objects.filter(name="by hand")
    locks = get_redis_connection("locks")
    return [
        Fault(2, "a lock without a timeout", lambda: locks.set(endless, "a program"), lambda: locks.delete(endless)),
        Fault(4, "a task that takes no turn runs twice on one table", _crowd, lambda: _cancel(names.REPORTING)),
        Fault(5, "an entry without an expiry, made by a shell", _add_entry, by_hand.delete),
        Fault(6, "a job that reports nothing", lambda: _start(names.SILENT, "highmem"), lambda: _cancel(names.SILENT)),
        Fault(7, "20 runs that take fifty times their last week's", _run_slowly, lambda: _forget(names.SLOW)),
        Fault(9, "a run with 400 of its worker's 231 MB", _use_memory, lambda: _forget(names.GREEDY)),
    ]


def _faults_of_workers(workers: Workers) -> list[Fault]:
    def keep_waiting() -> None:
        workers.kill("default")
        jobs.publish(_create(names.MAIL, "urgent", {"user_id": 0}))  # in vain while RabbitMQ has no memory

    return [
        Fault(8, "the video worker is killed", lambda: workers.kill("video"), lambda: workers.start("video")),
        Fault(3, "the default worker is killed, and a mail waits", keep_waiting, lambda: workers.start("default")),
    ]


def _fault_of_broker() -> Fault:
    if is_amqp():
        return Fault(
            1, "RabbitMQ has little memory left", lambda: _limit_rabbitmq("20MB"), lambda: _limit_rabbitmq("0.4")
        )
    server = from_url(settings.BROKER_URL)
    used: Any = server.info("memory")
    limit = int(used["used_memory"] * 1.2)
    return Fault(
        1,
        "the broker uses more than 80 % of its memory",
        lambda: server.config_set("maxmemory", limit),
        lambda: server.config_set("maxmemory", 0),
    )


def _limit_rabbitmq(limit: str) -> None:
    words = ["absolute", limit] if limit.endswith("MB") else [limit]
    subprocess.run([str(CTL), "--quiet", "set_vm_memory_high_watermark", *words], check=True)  # noqa: S603 - ours


def _create(task: str, queue: str, arguments: dict[str, Any]) -> Job:
    return Job.objects.create(task=task, queue=queue, arguments=arguments, queued_at=timezone.now())


def _start(task: str, queue: str) -> None:
    job = _create(task, queue, {"table": "mediaapp.CatalogueItem"})
    wait_until(lambda: jobs.publish(job), "the broker")
    wait_until(lambda: Job.objects.filter(pk=job.pk, state=Job.State.RUNNING).exists(), "the job to run")


def _crowd() -> None:
    for _ in range(2):
        _start(names.REPORTING, "imports")


def _cancel(task: str) -> None:
    for job in Job.objects.filter(task=task, state__in=Job.ACTIVE):
        jobs.cancel(job)


def _add_entry() -> None:
    hour, _ = IntervalSchedule.objects.get_or_create(every=3600, period="seconds")
    PeriodicTask.objects.create(name="by hand", task="workers.default.tasks.collect_runs", interval=hour)


def _run_slowly() -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    week = {"task": names.SLOW, "queue": "default", "outcomes": {}, "runs": 40, "run_p95": names.SLOW_SECONDS / 50}
    TaskHour.objects.bulk_create(TaskHour(hour=now - timedelta(hours=age), **week) for age in range(3, 100))
    for _ in range(20):
        current_app.send_task(names.SLOW, queue="default")


def _use_memory() -> None:
    current_app.send_task(names.GREEDY, args=["no job"], queue="default")


def _forget(task: str) -> None:
    """As ten minutes, or a day, do."""
    TaskRun.objects.filter(task=task).delete()
    TaskHour.objects.filter(task=task).delete()
