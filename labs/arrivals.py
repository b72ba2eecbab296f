"""The rounds of forecast: the same jobs, at the same random moments, to one, two and three workers of one process.

They sleep for known times, so that the processor has little part in it. What is measured is read from the rows of task
runs by the same functions as in `manage.py budget`. Beside what the arithmetic says stands what the arrivals and run
times, as they came, make in a line of that many processes on no machine at all ("replayed"): between the first two
lie the approximation and chance, between the last two Celery, the broker and this machine.
"""

import heapq
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from statistics import mean, quantiles
from subprocess import Popen
from typing import Any

from celery import shared_task
from django.utils import timezone

from bench.processes import PATIENCE, wait_until
from labs import processes
from workers.budget.history import Span, between
from workers.budget.queueing import left_behind, wait_for
from workers.default import task_runs
from workers.models import TaskRun
from workers.practices.queues import QUEUES

QUEUE = QUEUES["video"]
SLEEPS = (0.1, 0.2, 0.6)  # seconds, each as likely
WORKERS = 2  # so many run "now": from what they do it is foretold what one more and one fewer would
SEED = 5
LINE = "{:>7}  {:<11}{:>11}{:>11}{:>11}{:>9}"


@shared_task
def work(seconds: float) -> None:
    """A job that sleeps as long as it is told."""
    time.sleep(seconds)


@dataclass(frozen=True)
class Round:
    """What so many workers did with what came in so many seconds. span: as `manage.py budget` sees it.

    arrived: seconds after the start, of each job. waits: seconds of each. replayed: the same on no machine.
    """

    workers: int
    seconds: float
    span: Span
    arrived: list[float]
    waits: list[float]
    replayed: list[float]

    def left(self, waits: Sequence[float]) -> int:
        """Jobs that nobody had begun when the last one came."""
        return sum(arrived + wait > self.seconds for arrived, wait in zip(self.arrived, waits, strict=True))


def compare(seconds: float, a_second: float) -> None:
    """Prints a table, and its figures as a line of JSON."""
    print(f"{a_second:g} jobs a second for {seconds:g} s, which sleep {', '.join(map(str, SLEEPS))} s", flush=True)
    with started(0), ExitStack() as others:
        others.enter_context(started(1))
        now = watch(WORKERS, seconds, a_second)
        others.enter_context(started(2))
        more = watch(WORKERS + 1, seconds, a_second)
        others.close()
        fewer = watch(WORKERS - 1, seconds, a_second)
    load = now.span.load
    print(f"{WORKERS} workers saw {load.arrivals:.2f} a second of {load.run:.3f} s on average,")
    print(f"variance / mean^2: arrivals {load.arrivals_vary:.2f}, run times {load.runs_vary:.2f}\n")
    print(LINE.format("workers", "", "predicted", "replayed", "measured", "error"))
    found = [row for each in (fewer, now, more) for row in rows_of(each, now.span)]
    for row in found:
        figures = (f"{row[name]:.3f}" for name in ("predicted", "replayed", "measured"))
        error = "" if row["error"] is None else f"{row['error']:+.0f} %"
        print(LINE.format(row["workers"], row["what"], *figures, error))
    print(json.dumps(found))


def started(number: int) -> AbstractContextManager[Popen[bytes]]:
    """A worker of one process, ready."""
    words = (f"--hostname=video{number}@%h", f"--queues={QUEUE.name}", "--concurrency=1", f"--include={__name__}")
    return processes.started("worker", *words, app="config")


def watch(workers: int, seconds: float, a_second: float) -> Round:
    """Lets the jobs come to the workers that run, waits until all are done, and reads what became of them."""
    since, known = timezone.now(), TaskRun.objects.count()
    sent = send(seconds, a_second)
    until = timezone.now()
    wait_until(lambda: collected() - known >= sent, "the last job", PATIENCE + seconds)
    span = between([QUEUE], since, until)
    if span is None:
        raise RuntimeError("none of the jobs has left a row")
    runs = TaskRun.objects.filter(ended_at__gte=since).values_list("ended_at", "wait_seconds", "run_seconds")
    jobs = sorted(((ended - since).total_seconds() - wait - run, wait, run) for ended, wait, run in runs)
    arrived, waits, ran = map(list, zip(*jobs, strict=True))
    print(f"  {workers} workers: {sent} jobs", flush=True)
    return Round(workers, (until - since).total_seconds(), span, arrived, waits, replay(arrived, ran, workers))


def send(seconds: float, a_second: float) -> int:
    """Sends jobs at random moments, the same ones each time. Returns how many."""
    chance, began, due, sent = random.Random(SEED), time.monotonic(), 0.0, 0
    while (due := due + chance.expovariate(a_second)) < seconds:
        time.sleep(max(0.0, began + due - time.monotonic()))
        work.apply_async([chance.choice(SLEEPS)], queue=QUEUE.name)
        sent += 1
    return sent


def collected() -> int:
    """Rows of runs that are there now; beat would collect them on a site."""
    task_runs.collect()
    return TaskRun.objects.count()


def replay(arrived: Sequence[float], ran: Sequence[float], processes: int) -> list[float]:
    """How long each waits for the first of so many processes to be free: first come, first served."""
    free, waits = [0.0] * processes, []
    for moment, seconds in zip(arrived, ran, strict=True):
        begins = max(moment, heapq.heappop(free))
        heapq.heappush(free, begins + seconds)
        waits.append(begins - moment)
    return waits


def rows_of(each: Round, base: Span) -> Iterator[dict[str, Any]]:
    """The mean and the p95 wait in seconds; where more comes than can be done, the jobs that are left."""
    said = wait_for(base.load, each.workers)
    if math.isinf(said.mean):
        yield row(each, "jobs left", left_behind(base.load, each.workers, each.seconds), each.left)
    else:
        yield row(each, "mean wait", said.mean, mean)
        yield row(each, "p95 wait", said.longest_of(0.95), lambda waits: quantiles(waits, n=20)[-1])


def row(each: Round, what: str, said: float, figure: Callable[[list[float]], float]) -> dict[str, Any]:
    """error: of what was said, in percent of what was measured."""
    measured = figure(each.waits)
    known = {"predicted": said, "replayed": figure(each.replayed), "measured": measured}
    error = round(100 * (said - measured) / measured, 1) if measured else None
    told = {name: round(value, 4) for name, value in known.items()}
    return {"workers": each.workers, "what": what} | told | {"error": error}
