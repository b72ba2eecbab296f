"""What do the machines cost that hold a memory-hungry task? `make lab N=9`.

Four reports are due at once, each on many rows with long titles. Wrong: one worker with four processes runs everything,
and computes each report in its own memory. Right: a small worker, and one process for reports, each computed by a
subprocess that ends. Beside them: without the subprocess, and a single worker with a report at a time. A worker's
memory is the RSS of all its processes and of theirs, each at its highest, for they may be there at once. Its machine is
the cheapest dyno of config/prices.toml that holds them.
"""

import json
import time
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import Task, shared_task
from django.core.cache import cache

from devtools import processes
from devtools.lab import Figure, Lab, Round
from mediaapp.models import CatalogueItem
from mediaapp.reports import DUPLICATE_COLUMNS
from workers.capacity.prices import price_list
from workers.capacity.run_memory import DYNO_BYTES, MB
from workers.csvimport.target_table import TargetTable
from workers.reports.rows import Chunk, RowSource
from workers.reports.run import build_report, encode_task
from workers.telemetry.meter import descendants, high_water_bytes, rss_bytes

CHUNK_ROWS, TITLE = 20_000, f"{'A long title of a book':190}"
DONE = "labs.9 done"
TOGETHER, APART = "one worker for everything", "reports apart"

LAB = Lab(
    number=9,
    question="What do the machines cost that hold a memory-hungry task?",
    shows=(
        f"One worker for everything needs {{{TOGETHER}: at most}}, and a machine for {{{TOGETHER}: a month}} a month. "
        f"With the reports apart, both workers together need {{{APART}: at most}}, and machines for "
        f"{{{APART}: a month}}."
    ),
    seconds=140,
    figures=(
        Figure("a month", "USD", digits=0),
        Figure("at most", "MB", digits=0),
        Figure("largest after", "MB", digits=0),
        Figure("all reports", "s", digits=0),
    ),
    sizes={"rows": 600_000, "reports": 4},
    short={"rows": 250_000},
)


@shared_task(soft_time_limit=600, time_limit=660)
def report_here(count: int) -> None:
    process = import_module("workers.reports.process")  # imports polars
    with TemporaryDirectory() as folder:
        task = json.loads(encode_task(rows(count), DUPLICATE_COLUMNS, Path(folder)))
        process.compute_report(task, (chunk for chunk, _ in chunks(count)), lambda *_: None)
    cache.incr(DONE)


@shared_task(soft_time_limit=600, time_limit=660)
def report_apart(count: int) -> None:
    with TemporaryDirectory() as folder:
        limit = DYNO_BYTES["performance-l"]
        build_report(rows(count), same=DUPLICATE_COLUMNS, folder=Path(folder), limit=limit, report=lambda *_: None)
    cache.incr(DONE)


def rows(count: int) -> RowSource:
    return RowSource(TargetTable(CatalogueItem, {"owner_id": 0}).importable, count, 250 * count, [], chunks(count))


def chunks(count: int) -> Generator[Chunk]:
    for start in range(0, count, CHUNK_ROWS):
        numbers = range(start, min(start + CHUNK_ROWS, count))
        lines = (f"B-{n},{TITLE} {n % 9973},Creator {n % 5003},Novel,{1950 + n % 70}-05-01,9.50,3\n" for n in numbers)
        yield "".join(lines).encode(), len(numbers)


def measure(
    lab: Round, workers: dict[str, int], report: Task, at_once: int = 4, limit: int = 10**7
) -> dict[str, float]:
    """`at_once` reports go to the last worker. limit: in KiB; a process that held more is replaced after its task."""
    cache.set(DONE, 0, None)
    peaks, pids, published = dict.fromkeys(workers, 0), {}, 0
    with ExitStack() as running:
        for name, concurrency in workers.items():
            options = f"--queues={name}", f"--concurrency={concurrency}", f"--max-memory-per-child={limit}"
            worker = processes.celery("worker", *options, f"--include={__name__}", app="config")
            pids[name] = running.enter_context(worker).pid
        began = time.monotonic()
        while (done := cache.get(DONE)) < lab.sizes["reports"]:
            if published < min(done + at_once, lab.sizes["reports"]):
                report.apply_async((int(lab.sizes["rows"]),), queue=[*workers][-1])
                published += 1
            for name, pid in pids.items():
                peaks[name] = max(peaks[name], sum(map(high_water_bytes, [pid, *descendants(pid)])))
            time.sleep(0.05)
        took = time.monotonic() - began
        time.sleep(1)
        after = [rss_bytes(process) for pid in pids.values() for process in (pid, *descendants(pid))]
    costs = sum(map(price_of, peaks.values())), sum(peaks.values()) / MB
    return {"a month": costs[0], "at most": costs[1], "largest after": max(after) / MB, "all reports": took}


def price_of(needed: int) -> float:
    """Of the cheapest machine that holds so many bytes."""
    return min(size.price for size in price_list().sizes.values() if size.memory >= needed)


ONE, TWO = {"default": 4}, {"default": 4, "highmem": 1}
LAB.wrong(TOGETHER)(partial(measure, workers=ONE, report=report_here))
LAB.right(APART)(partial(measure, workers=TWO, report=report_apart))
LAB.beside("reports apart, no subprocess")(partial(measure, workers=TWO, report=report_here))
LAB.beside("one report at a time")(partial(measure, workers=ONE, report=report_here, at_once=1, limit=200_000))
