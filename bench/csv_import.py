r"""The CSV import beside COPY of the same file into the same table, with its indexes and constraints, in turns.

COPY checks no cell, tells no reason and either takes the whole file or nothing. Growth and memory are those of a
process of its own for each import.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench import catalogues
from bench.meters import database_cpu
from bench.rows import Row
from devtools.processes import ROOT
from mediaapp.models import User

BARS = {"created": 0.8, "unchanged": 0.6, "updated": 0.3}
WHAT = {"created": "new rows", "unchanged": "nothing changed", "updated": "everything changed"}
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)


def measure(*, quick: bool) -> Iterator[Row]:
    """The bars at a million rows, then growth."""
    rows, rounds = (2_000, 1) if quick else (1_000_000, 3)
    owner = User.objects.create_user("bench", "bench@example.com")
    with TemporaryDirectory(prefix="catalogues-") as folder:
        yield from beside_copy(Path(folder), owner, rows, rounds)
        yield from growth(Path(folder), owner, (1_000, 2_000) if quick else SIZES)
    catalogues.empty()
    owner.delete()


def beside_copy(folder: Path, owner: User, rows: int, rounds: int) -> Iterator[Row]:
    """Each round: COPY, then the import of the same file, of it again, and of one in which every row differs."""
    first, second = catalogues.catalogue(folder / "a.csv", rows), catalogues.catalogue(folder / "b.csv", rows, more=1)
    turns = []
    for _ in range(rounds):
        turn: dict[str, Any] = {"copy": timed(partial(catalogues.copy, first, owner))}
        catalogues.empty()
        for outcome, path in (("created", first), ("unchanged", first), ("updated", second)):
            turn[outcome] = imported(path, owner)
            if turn[outcome][outcome] != rows:
                raise AssertionError(f"{outcome}: {turn[outcome]}")
            catalogues.refresh()
        catalogues.empty()
        turns.append(turn)
    for outcome, least in BARS.items():
        ratio = median(turn["copy"]["seconds"] / turn[outcome]["seconds"] for turn in turns)
        yield Row(f"CSV import / COPY, {WHAT[outcome]}", ratio, at_least=least, note=speed(turns, outcome, rows))
    memory = max(turn[outcome]["rss"] for turn in turns for outcome in BARS)
    yield Row(f"peak RSS of an import of {rows:,} rows", memory, "MB", at_most=120)


def speed(turns: list[dict[str, Any]], outcome: str, rows: int) -> str:
    """Both rates, and the seconds of CPU of the database and of the import, which a busy machine changes least."""
    ours, copy = (median(rows / turn[name]["seconds"] for turn in turns) for name in (outcome, "copy"))
    database, copying = (median(turn[name]["database"] for turn in turns) for name in (outcome, "copy"))
    own = median(turn[outcome]["cpu"] for turn in turns)
    return (
        f"{ours:,.0f} rows/s, COPY {copy:,.0f}; CPU: database {database:.1f} s, import {own:.1f} s, "
        f"COPY's database {copying:.1f} s"
    )


def growth(folder: Path, owner: User, sizes: tuple[int, ...]) -> Iterator[Row]:
    """New rows into an empty table; small files several times. The smallest is shown, not judged."""
    rates, memory = [], []
    for rows in sizes:
        path = catalogues.catalogue(folder / "growth.csv", rows)
        runs = []
        for _ in range(max(1, min(5, sizes[-1] // rows // 2))):
            runs.append(imported(path, owner))
            catalogues.empty()
        rates.append(rows / median(run["seconds"] for run in runs))
        memory.append(max(run["rss"] for run in runs))
        yield Row(f"CSV import of {rows:,} new rows", rates[-1], "rows/s", note=f"peak RSS {memory[-1]:.0f} MB")
    long = rates[1:]  # of the smallest file, one chunk, nothing can overlap, and the start is a part of its time
    yield Row(f"CSV import, slowest / fastest size from {sizes[1]:,} rows on", min(long) / max(long), at_least=0.8)
    yield Row(f"peak RSS of an import of {sizes[-1]:,} rows", memory[-1], "MB", at_most=120)


def imported(path: Path, owner: User) -> dict[str, Any]:
    """One import job in a process of its own, and the database's CPU seconds for it."""
    command = [sys.executable, "-m", "bench.one_import", path.name, str(owner.pk)]
    environment = os.environ | {"MEDIA_ROOT": str(path.parent)}
    output: list[str] = []

    def run() -> None:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
        output.append(done.stdout)

    whole = timed(run)
    own: dict[str, Any] = json.loads(output[0])
    return whole | own


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Seconds of the clock, and of the database's CPU."""
    before, began = database_cpu(), time.monotonic()
    run()
    return {"seconds": time.monotonic() - began, "database": database_cpu() - before}
