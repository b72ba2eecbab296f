"""Runs of a task, each in a process of its own, which write into a file when they begin, end or are refused: lab 2."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from redis.exceptions import LockError, LockNotOwnedError

from workers.practices import locks

Work = Callable[[], None]
Task = Callable[[int, Work], None]


@dataclass
class Run:
    """began: when it began to work, or was refused. Seconds of the clock that all processes share."""

    shop: int
    began: float
    ended: float = float("inf")
    is_refused: bool = False
    has_failed: bool = False

    def meets(self, other: "Run") -> bool:
        """Whether the other one worked when this one began."""
        return not other.is_refused and other.began <= self.began < other.ended


@dataclass
class Ledger:
    path: Path

    def write(self, event: str, shop: int, process: int | None) -> None:
        with self.path.open("a") as file:
            file.write(f"{event} {shop} {process} {time.monotonic()}\n")

    def read(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def runs(self) -> list[Run]:
        runs: dict[str, Run] = {}
        for event, shop, process, at in self.read():
            if event == "ended":
                runs[process].ended = float(at)
            elif event == "failed":
                runs[process].has_failed = True
            else:
                runs[process] = Run(int(shop), float(at), is_refused=event == "refused")
        return list(runs.values())


def start(task: Task, shop: int, ledger: Ledger, seconds: float) -> BaseProcess:
    context = get_context("forkserver")
    context.set_forkserver_preload(["config.wsgi", task.__module__])  # config.wsgi sets Django up
    process = context.Process(target=_run, args=(task, shop, ledger, seconds), daemon=True)
    process.start()
    return process


def kill(process: BaseProcess, ledger: Ledger, shop: int) -> None:
    process.kill()
    process.join()
    ledger.write("ended", shop, process.pid)


def _run(task: Task, shop: int, ledger: Ledger, seconds: float) -> None:
    def work() -> None:
        ledger.write("began", shop, os.getpid())
        time.sleep(seconds)
        ledger.write("ended", shop, os.getpid())

    try:
        task(shop, work)
    except LockNotOwnedError:  # it has worked, and its lock has expired meanwhile
        ledger.write("failed", shop, os.getpid())
    except (LockError, locks.Busy):
        ledger.write("refused", shop, os.getpid())
