"""Which workers and runs give a sign of life, and who has stopped to.

A stopped process keeps its connections, so the broker still counts it as a consumer. Heartbeats are on the server of
the locks: a worker's with its queues and its pool processes that hang, a run's by the recorder in its pool process
(recorder.py).
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from django_redis import get_redis_connection

from workers.queues import table
from workers.telemetry.recorder import HEARTBEATS

PREFIX = "worker:alive:"  # and a worker's name and start. The value is JSON
LOAD_PREFIX = "worker:load:"  # the same. A heartbeat with a new field would fail an older release that reads it
HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 15  # a worker or one of its pool processes is then named
IDLE_SECONDS = 20  # the programs of a run are then named
FORGET_SECONDS = 600  # a worker that was killed is then no fault any more


@dataclass(frozen=True)
class HungProcess:
    """Of a pool. has_begun: False if the task waits in its pipe. seconds: of its silence."""

    task: str
    seconds: float
    has_begun: bool


@dataclass(frozen=True)
class Worker:
    """name: as Celery has it, `video@host`. Times are those of time.time()."""

    name: str
    queues: list[str]
    started_at: float
    beat_at: float
    hung: list[HungProcess] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.name.partition("@")[0]

    @property
    def seen_at(self) -> datetime:
        return datetime.fromtimestamp(self.beat_at, UTC)

    @property
    def age(self) -> float:
        return time.time() - self.beat_at

    @property
    def is_silent(self) -> bool:
        return self.age > SILENT_SECONDS

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.name} {self.started_at}"

    @property
    def load_key(self) -> str:
        return f"{LOAD_PREFIX}{self.name} {self.started_at}"

    def can_replace(self, dead: "Worker") -> bool:
        """A platform starts a worker again under another host's name."""
        return self.kind == dead.kind and self.started_at > dead.beat_at and {*dead.queues} <= {*self.queues}


@dataclass(frozen=True)
class WorkerLoad:
    """processes: of its pool; so many may be busy. rss_bytes: of the main process and all that it started.

    Pages that processes share count in each. paused: the queues that it does not consume, because staff paused them.
    """

    processes: int
    busy: int
    rss_bytes: int
    release: str
    paused: list[str] = field(default_factory=list)


def beat(worker: Worker, load: WorkerLoad | None = None) -> None:
    """Raises RedisError."""
    with get_redis_connection("locks").pipeline() as pipe:
        pipe.set(worker.key, json.dumps(asdict(worker)), ex=FORGET_SECONDS)
        if load:
            pipe.set(worker.load_key, json.dumps(asdict(load)), ex=FORGET_SECONDS)
        pipe.execute()


def remove_heartbeat(worker: Worker) -> None:
    """For a worker that stops as it should. Raises RedisError."""
    get_redis_connection("locks").delete(worker.key, worker.load_key)


def read_workers() -> list[Worker]:
    """Without fields that only a newer release knows. Raises RedisError."""
    redis = get_redis_connection("locks")
    keys = list(redis.scan_iter(f"{PREFIX}*", count=500))
    values = [json.loads(value) for value in (redis.mget(keys) if keys else []) if value]
    hung = [[HungProcess(**_known(HungProcess, each)) for each in value.get("hung", [])] for value in values]
    return [Worker(**_known(Worker, value) | {"hung": each}) for value, each in zip(values, hung, strict=True)]


def read_loads(workers: Sequence[Worker]) -> list[WorkerLoad | None]:
    """Of each in their order, by one command. None for a worker of an older release. Raises RedisError."""
    values = get_redis_connection("locks").mget([worker.load_key for worker in workers]) if workers else []
    return [WorkerLoad(**_known(WorkerLoad, json.loads(value))) if value else None for value in values]


def _known(kind: type[Worker | WorkerLoad | HungProcess], value: dict[str, Any]) -> dict[str, Any]:
    return {each.name: value[each.name] for each in fields(kind) if each.name in value}


def read_runs() -> list[dict[str, Any]]:
    """The last heartbeat of each run: its task's `id`, and `silent_seconds`, the heartbeat's age. Raises RedisError.

    A job's attempts have one id. The run of a process that died may be among them.
    """
    runs, now = get_redis_connection("locks").hgetall(HEARTBEATS), time.time()
    found = [(key.decode().partition(" ")[0], json.loads(value)) for key, value in runs.items()]
    return [run | {"id": task_id, "silent_seconds": now - run["ended_at"]} for task_id, run in found]


def faults(paused: Mapping[str, datetime] | None = None) -> Iterator[str]:
    """paused: the queues that staff have paused, and when. Nobody needs to consume them. Raises RedisError."""
    workers = read_workers()
    living = {worker.name: worker for worker in workers if not worker.is_silent}
    for worker in not_replaced(workers):
        yield f"{worker.name} has been silent for {worker.age:.0f} s: it is stopped, or its machine is lost."
    yield from _queue_faults([*living.values()], paused or {})
    for worker in living.values():
        yield from (_hung_fault(worker, process) for process in worker.hung)
    for run in read_runs():
        idle = run.get("idle_seconds") or 0.0
        if run["worker"] in living and idle > IDLE_SECONDS and run["silent_seconds"] < SILENT_SECONDS:
            task = run["task"].rpartition(".")[2]
            yield f"The program that {task} runs on {run['worker']} has used no processor for {idle:.0f} s: it hangs."


def not_replaced(workers: list[Worker]) -> list[Worker]:
    """The silent ones for whom no other one has started since. Each stands in for one; it may have died as well."""
    silent, free = [], list(workers)
    for worker in sorted((each for each in workers if each.is_silent), key=lambda each: -each.beat_at):
        if replacement := next((each for each in free if each.can_replace(worker)), None):
            free.remove(replacement)
        else:
            silent.append(worker)
    return silent


def queues_without_worker() -> set[str]:
    """Those that no living worker consumes, and those of a silent one. Raises RedisError."""
    workers = read_workers()
    silent = {queue for worker in not_replaced(workers) for queue in worker.queues}
    consumed = {queue for worker in workers if not worker.is_silent for queue in worker.queues}
    return silent | (table().queues.keys() - consumed)


def silent_consumers(workers: list[Worker], queue: str) -> list[Worker]:
    return [worker for worker in not_replaced(workers) if queue in worker.queues]


def _queue_faults(living: list[Worker], paused: Mapping[str, datetime]) -> Iterator[str]:
    consumers = table().consumers
    for worker, load in zip(living, read_loads(living) if paused else [None] * len(living), strict=True):
        if foreign := [queue for queue in worker.queues if consumers.get(queue, worker.kind) != worker.kind]:
            right = ",".join(queue for queue, consumer in consumers.items() if consumer == worker.kind)
            yield f"{worker.name} consumes {', '.join(foreign)}: start it with --queues {right or 'of its own'}."
        known = [
            queue
            for queue in worker.queues
            if queue in paused and worker.beat_at - paused[queue].timestamp() > SILENT_SECONDS
        ]
        for queue in known:
            if load is None or queue not in load.paused:
                yield f"{worker.name} consumes {queue}, which is paused. Is it of an older release, or no beat up?"
    consumed = {queue for worker in living for queue in worker.queues}
    for queue, kind in consumers.items():
        if queue not in consumed and queue not in paused:
            yield f"No worker takes jobs from {queue}. Is the {kind} worker up, with {queue} in its --queues?"


def _hung_fault(worker: Worker, process: HungProcess) -> str:
    task, seconds = process.task.rpartition(".")[2], f"{process.seconds:.0f} s"
    soon = "it is stopped or hangs. Its worker kills it soon, and the job goes on."
    if process.has_begun:
        return f"The process of {task} on {worker.name} has been silent for {seconds}: {soon}"
    return f"A process of {worker.name} has not begun its {task} for {seconds}: {soon}"
