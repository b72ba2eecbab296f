"""Which workers and runs give a sign of life, and who has stopped to.

A stopped process keeps its connections, so the broker still counts it as a consumer. Heartbeats are on the server of
the locks: a worker's by its name and its queues, a run's by the recorder in its pool process (recorder.py).
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django_redis import get_redis_connection

from workers.queues import table
from workers.telemetry.recorder import HEARTBEATS

WORKERS = "workers:alive"  # a sorted set: "name queue,queue" by the time of its last heartbeat
HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 15  # a worker or a run is then named
IDLE_SECONDS = 20  # the programs of a run are then named
FORGET_SECONDS = 600  # a worker that was killed is then no fault any more


@dataclass(frozen=True)
class Worker:
    """name: as Celery has it, `video@host`. age: seconds since its last heartbeat."""

    name: str
    queues: list[str]
    age: float

    @property
    def is_silent(self) -> bool:
        return self.age > SILENT_SECONDS


def beat(name: str, queues: list[str]) -> None:
    """Raises RedisError."""
    now = time.time()
    with get_redis_connection("locks").pipeline() as pipe:
        pipe.zadd(WORKERS, {f"{name} {','.join(sorted(queues))}": now})
        pipe.zremrangebyscore(WORKERS, "-inf", now - FORGET_SECONDS)
        pipe.execute()


def remove_heartbeat(name: str, queues: list[str]) -> None:
    """For a worker that stops as it should. Raises RedisError."""
    get_redis_connection("locks").zrem(WORKERS, f"{name} {','.join(sorted(queues))}")


def read_workers() -> list[Worker]:
    """Raises RedisError."""
    now, workers = time.time(), []
    for member, at in get_redis_connection("locks").zrange(WORKERS, 0, -1, withscores=True):
        name, _, queues = member.decode().partition(" ")
        workers.append(Worker(name, queues.split(","), now - at))
    return workers


def read_runs() -> dict[str, dict[str, Any]]:
    """The last heartbeats of runs, by task id. `silent_seconds` is their age. Raises RedisError."""
    runs = {}
    for key, value in get_redis_connection("locks").hgetall(HEARTBEATS).items():
        run = json.loads(value)
        runs[key.decode().partition(" ")[0]] = run | {"silent_seconds": time.time() - run["ended_at"]}
    return runs


def faults() -> Iterator[str]:
    """Raises RedisError."""
    workers = read_workers()
    living = [worker for worker in workers if not worker.is_silent]
    yield from _worker_faults(workers, {queue for worker in living for queue in worker.queues})
    names = {worker.name for worker in living}
    for run in read_runs().values():
        if run["worker"] in names:
            yield from _run_faults(run)


def _worker_faults(workers: list[Worker], consumed: set[str]) -> Iterator[str]:
    consumers = table().consumers
    for worker in workers:
        kind = worker.name.partition("@")[0]
        foreign = [queue for queue in worker.queues if consumers.get(queue, kind) != kind]
        if worker.is_silent:
            yield f"{worker.name} has been silent for {worker.age:.0f} s: it is stopped, or its machine is lost."
        elif foreign:
            right = ",".join(queue for queue, consumer in consumers.items() if consumer == kind)
            yield f"{worker.name} consumes {', '.join(foreign)}: start it with --queues {right or 'of its own'}."
    for queue, kind in consumers.items():
        if queue not in consumed:
            yield f"No worker takes jobs from {queue}. Is the {kind} worker up, with {queue} in its --queues?"


def _run_faults(run: dict[str, Any]) -> Iterator[str]:
    task, idle = run["task"].rpartition(".")[2], run.get("idle_seconds") or 0.0
    if run["silent_seconds"] > SILENT_SECONDS:
        yield (
            f"The process of {task} on {run['worker']} has been silent for {run['silent_seconds']:.0f} s: it is stopped"
            " or hangs. Its worker kills it soon, and the job goes on."
        )
    elif idle > IDLE_SECONDS:
        yield f"The program that {task} runs on {run['worker']} has used no processor for {idle:.0f} s: it hangs."
