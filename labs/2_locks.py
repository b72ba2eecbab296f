"""How many runs of a recurring task go wrong under five wrong locks and a right one? `make lab N=2`.

A report for each of two shops is due every 0.4 s and takes 1 s. Each run is a process. The first run is killed in the
middle, as in a deploy. A run goes wrong in one of two ways. It meets another one of its shop. Or it is locked out: the
lock is held, though no run of its shop works. A run fails if its lock is another's when it releases it.
"""

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.cache import caches
from django_redis import get_redis_connection

from devtools.lab import Figure, Lab, Round
from devtools.processes import wait_until
from labs.run_ledger import Ledger, Run, Task, Work, kill, start
from workers.practices import locks

SHOPS = 1, 2
cache: Any = caches["locks"]

LAB = Lab(
    number=2,
    question="How many runs of a recurring task go wrong, if one is killed?",
    shows=(
        "Without a lock {no lock: runs gone wrong} runs go wrong. Under a timeout that is too short it is "
        "{a timeout shorter than the task: runs gone wrong}, without one {no timeout: runs gone wrong}, and under a "
        "lease that is renewed {locks.exclusive(): runs gone wrong}."
    ),
    seconds=70,
    figures=tuple(Figure(name, "", digits=0) for name in ("runs gone wrong", "met another", "locked out", "failed")),
    sizes={"runs of a shop": 10, "interval": 0.4, "seconds": 1},
    short={"runs of a shop": 7},
)


def report_without_lock(_shop: int, work: Work) -> None:
    work()


def report_under_short_timeout(shop: int, work: Work) -> None:
    with cache.lock(f"report:{shop}", timeout=0.6, blocking=False):
        work()


def report_without_timeout(shop: int, work: Work) -> None:
    with cache.lock(f"report:{shop}", blocking=False):
        work()


def report_and_delete(shop: int, work: Work) -> None:
    try:
        if not cache.add(f"report:{shop}", "taken", timeout=60):
            raise locks.Busy
        work()
    finally:
        cache.delete(f"report:{shop}")  # also if another run has taken it


def report_under_one_name(_shop: int, work: Work) -> None:
    with locks.exclusive("report", lease=1):
        work()


def report(shop: int, work: Work) -> None:
    with locks.exclusive(f"report:{shop}", lease=1):
        work()


def measure(task: Task, lab: Round) -> dict[str, float]:
    """Start the runs when they are due, and kill the first one before the second is due."""
    with TemporaryDirectory() as folder:
        ledger, seconds = Ledger(Path(folder, "ledger")), lab.sizes["seconds"]
        processes = [start(task, shop, ledger, seconds) for shop in SHOPS]
        wait_until(lambda: len(ledger.read()) == len(SHOPS), "the first runs")
        began = time.monotonic()
        for number in range(1, int(lab.sizes["runs of a shop"])):
            time.sleep(max(0, began + number * lab.sizes["interval"] - time.monotonic()))
            if number == 1:
                kill(processes[0], ledger, SHOPS[0])
            processes += [start(task, shop, ledger, seconds) for shop in SHOPS]
        wait_until(lambda: len(ledger.runs()) == len(processes), "the last runs")
        for process in processes:
            process.join()
        get_redis_connection("locks").flushdb()
        return count(ledger.runs())


def count(runs: list[Run]) -> dict[str, float]:
    met = locked_out = 0
    for run in runs:
        works = any(run.meets(other) for other in runs if other is not run and other.shop == run.shop)
        met += works and not run.is_refused
        locked_out += run.is_refused and not works
    failed = sum(run.has_failed for run in runs)
    return {"runs gone wrong": met + locked_out, "met another": met, "locked out": locked_out, "failed": failed}


LAB.wrong("no lock")(partial(measure, report_without_lock))
LAB.wrong("a timeout shorter than the task")(partial(measure, report_under_short_timeout))
LAB.wrong("no timeout")(partial(measure, report_without_timeout))
LAB.wrong("deleted by anybody")(partial(measure, report_and_delete))
LAB.wrong("one name for two shops")(partial(measure, report_under_one_name))
LAB.right("locks.exclusive()")(partial(measure, report))
