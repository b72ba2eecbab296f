"""What the collection of runs costs: the memory of a real default worker, and the share of the totals of /metrics."""

import json
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import psutil
from django.db import transaction
from django_redis import get_redis_connection

from bench.contenders import Contender, contender
from bench.rows import Row
from devtools.processes import wait_until
from workers.models import TaskRun, TaskTotal
from workers.queues import table
from workers.telemetry import rollups
from workers.telemetry.recorder import STREAM
from workers.telemetry.task_totals import add_to_totals

COLLECT = "workers.default.tasks.collect_runs"
RUNS, ROUND, WARM_UP_ROUNDS = 100_000, 5_000, 12


def measure(*, quick: bool) -> Iterator[Row]:
    """One round fills the stream, and the worker empties it."""
    rounds, warm_up_rounds, size = (2, 1, 100) if quick else (RUNS // ROUND, WARM_UP_ROUNDS, ROUND)
    with contender("config", 4) as worker:
        for _ in range(warm_up_rounds):  # so that each process of the pool has collected
            collect(worker, size)
        before, counted = resident_bytes(worker), count_totals()
        for _ in range(rounds):
            collect(worker, size)
        ratio = resident_bytes(worker) / before
        runs = rounds * size
        missing = counted + runs - count_totals()
        note = f"{before / 1e6:.0f} MB before; {missing} of {runs:,} runs are not in the totals"
        yield Row("memory of a default worker after 100,000 runs / before", ratio, at_most=1.05, note=note)
    TaskRun.objects.all().delete()
    yield measure_share(rounds, size)


def collect(worker: Contender, count: int) -> None:
    """Writes records as workers do, and lets the worker collect them."""
    last, redis = fill_stream(count), get_redis_connection("locks")
    worker.app.send_task(COLLECT, queue="default")
    wait_until(lambda: worker.is_done() and not redis.xrange(STREAM, last, last), "the collection")


def fill_stream(count: int) -> bytes:
    """Returns the id of the last entry."""
    with get_redis_connection("locks").pipeline() as pipe:
        for record in make_records(count):
            pipe.xadd(STREAM, {"run": json.dumps(record)})
        last: bytes = pipe.execute()[-1]
        return last


def make_records(count: int) -> list[dict[str, Any]]:
    """Of all tasks in turn, but the collection itself."""
    pairs = cycle((task, route["queue"]) for task, route in table().routes.items() if task != COLLECT)
    plain = {
        "worker": "default@a-host-of-some-length",
        "release": "v1",
        "outcome": "succeeded",
        "ended_at": time.time(),
    }
    plain |= {"wait_seconds": 0.5, "run_seconds": 1.5, "peak_bytes": 10**8, "idle_seconds": 0.0}
    return [plain | {"task": task, "queue": queue} for task, queue in islice(pairs, count)]


def resident_bytes(worker: Contender) -> float:
    """Of the main process and its pool."""
    processes: list[psutil.Process] = [worker.process, *worker.process.children(recursive=True)]
    return float(sum(each.memory_info().rss for each in processes))


def count_totals() -> int:
    """Without the runs of the collection itself."""
    totals = TaskTotal.objects.exclude(task=COLLECT).values_list("outcomes", flat=True)
    return sum(sum(outcomes.values()) for outcomes in totals)


def measure_share(rounds: int, size: int) -> Row:
    """CPU of the totals against that of a whole collection, of which they are a part."""
    whole = totals = 0.0
    for _ in range(rounds):
        fill_stream(size)
        began = time.process_time()
        rollups.collect_runs()
        whole += time.process_time() - began
        records = make_records(size)
        began = time.process_time()
        with transaction.atomic():
            add_to_totals(records)
        totals += time.process_time() - began
    note = f"a collection takes {1e6 * whole / (rounds * size):.0f} µs of CPU a run"
    return Row("totals of /metrics, share of a collection's CPU", 100 * totals / whole, "%", at_most=5, note=note)
