"""What does one memory-hungry task do to the size of every worker? `python -m labs 9 [rows]` (default 300,000).

Wrong: one worker with four processes runs everything. Each computes a report sooner or later in its own memory and
keeps a part of that for ever; when two do so at once, the machine must hold both peaks. Right: a small worker for small
tasks, and one process for reports, each computed by a subprocess that ends (workers/reports/run.py). Both make four.
Printed for each worker: the memory of its processes before, at most and after (RSS, sampled ten times a second), and
the smallest dyno that holds them. No process is recycled for its size here, so that the growth shows.
"""

import json
import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, suppress
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psutil
from celery import shared_task
from django.core.cache import cache

from devtools import processes
from mediaapp.models import CatalogueItem
from mediaapp.reports import DUPLICATE_COLUMNS
from workers.capacity.run_memory import DYNO_BYTES, MB
from workers.csvimport.target_table import TargetTable
from workers.reports.rows import Chunk, RowSource
from workers.reports.run import build_report, encode_task

REPORTS = 4
CHUNK_ROWS = 20_000  # rows
LIMITS = {"soft_time_limit": 600, "time_limit": 660}

# name: the queue of the reports, and for each worker its queue and its processes
SETUPS = {
    "wrong: one worker for everything": ("default", {"default": 4}),
    "right: the reports apart": ("highmem", {"default": 4, "highmem": 1}),
}


@shared_task(**LIMITS)
def report_here(count: int, done: str) -> None:
    """As most projects do it: in the worker's memory. The import is here, so that the other worker stays small."""
    process = import_module("workers.reports.process")
    with TemporaryDirectory() as folder:
        task = json.loads(encode_task(rows(count), DUPLICATE_COLUMNS, Path(folder)))
        process.compute_report(task, (chunk for chunk, _ in chunks(count)), lambda *_: None)
    cache.incr(done)


@shared_task(**LIMITS)
def report_apart(count: int, done: str) -> None:
    """As the site does it."""
    with TemporaryDirectory() as folder:
        limit = DYNO_BYTES["performance-l"]
        build_report(rows(count), same=DUPLICATE_COLUMNS, folder=Path(folder), limit=limit, report=lambda *_: None)
    cache.incr(done)


def rows(count: int) -> RowSource:
    return RowSource(TargetTable(CatalogueItem, {"owner_id": 0}).importable, count, 70 * count, [], chunks(count))


def chunks(count: int) -> Generator[Chunk]:
    for start in range(0, count, CHUNK_ROWS):
        numbers = range(start, min(start + CHUNK_ROWS, count))
        lines = (
            f"B-{n:07},The title of the book number {n * 7919 % count},Creator {n % 5003},Novel,"
            f"{1950 + n % 70}-05-01,{n % 90}.50,{n % 101}\n"
            for n in numbers
        )
        yield "".join(lines).encode(), len(numbers)


def sizes(worker: int) -> list[int]:
    """The RSS of every process of a worker and of its tasks' subprocesses, the largest first."""
    main = psutil.Process(worker)
    found = []
    for process in (main, *main.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found.append(process.memory_info().rss)
    return sorted(found, reverse=True)


def worker(name: str, concurrency: int) -> AbstractContextManager[Popen[bytes]]:
    """A worker that consumes the queue of its name."""
    options = f"--hostname {name}@%h --queues {name} --concurrency {concurrency} --include {__name__}"
    quiet = "--without-gossip --without-mingle --without-heartbeat --loglevel ERROR"
    return processes.celery("worker", *options.split(), *quiet.split(), app="config")


def run(count: int, setup: tuple[str, dict[str, int]]) -> dict[str, dict[str, Any]]:
    """For each worker: bytes of each process before and after, and the peak of their sum."""
    queue, workers = setup
    task, done = (report_here, report_apart)["highmem" in workers], f"labs.9 {uuid4()}"
    cache.set(done, 0, 3600)
    with ExitStack() as running:
        pids = {name: running.enter_context(worker(name, concurrency)).pid for name, concurrency in workers.items()}
        found: dict[str, dict[str, Any]] = {name: {"before": sizes(pid), "peak": 0} for name, pid in pids.items()}
        for _ in range(REPORTS):
            task.apply_async([count, done], queue=queue)
        while cache.get(done) < REPORTS:
            for name, pid in pids.items():
                found[name]["peak"] = max(found[name]["peak"], sum(sizes(pid)))
            time.sleep(0.1)
        time.sleep(1)
        for name, pid in pids.items():
            found[name]["after"] = sizes(pid)
            large_enough = (size for size, holds in DYNO_BYTES.items() if holds >= found[name]["peak"])
            found[name]["dyno"] = next(large_enough, "none")
    return found


def format_sizes(sizes: list[int]) -> str:
    return f"{sum(sizes) // MB:>5} MB ({', '.join(str(size // MB) for size in sizes)})"


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else 300_000
    found = {}
    for name, setup in SETUPS.items():
        print(f"{name}, {REPORTS} reports on {count:,} rows", flush=True)
        found[name] = run(count, setup)
        for worker, memory in found[name].items():
            print(f"  {worker:<9}before {format_sizes(memory['before'])}, after {format_sizes(memory['after'])}")
            print(f"  {'':<9}at most {memory['peak'] // MB} MB: {memory['dyno']}", flush=True)
    print(json.dumps(found))
