"""The CSV import against COPY of the same file into the same table, with its indexes and constraints, in turns.

COPY checks no cell, names no reason, and takes the whole file or nothing. Each import has a fresh process.
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
from bench.meters import database_cpu_seconds
from bench.rows import Row
from devtools.processes import ROOT
from mediaapp.models import User

BARS = {"created": 0.8, "unchanged": 0.6, "updated": 0.3}
LABELS = {"created": "new rows", "unchanged": "nothing changed", "updated": "everything changed"}
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)


def measure(*, quick: bool) -> Iterator[Row]:
    """The bars at a million rows, then growth."""
    rows, rounds = (2_000, 1) if quick else (1_000_000, 3)
    owner = User.objects.create_user("bench", "bench@example.com")
    with TemporaryDirectory(prefix="catalogues-") as folder:
        yield from compare_with_copy(Path(folder), owner, rows, rounds)
        yield from measure_growth(Path(folder), owner, (1_000, 2_000) if quick else SIZES)
    catalogues.empty_table()
    owner.delete()


def compare_with_copy(folder: Path, owner: User, rows: int, rounds: int) -> Iterator[Row]:
    """Each round: COPY, then the import of the same file, of it again, and of one in which every row differs."""
    first = catalogues.write_catalogue(folder / "a.csv", rows)
    second = catalogues.write_catalogue(folder / "b.csv", rows, extra_stock=1)
    turns = []
    for _ in range(rounds):
        turn: dict[str, Any] = {"copy": time_run(partial(catalogues.import_by_copy, first, owner))}
        catalogues.empty_table()
        for outcome, path in (("created", first), ("unchanged", first), ("updated", second)):
            turn[outcome] = run_import(path, owner)
            if turn[outcome][outcome] != rows:
                raise AssertionError(f"{outcome}: {turn[outcome]}")
            catalogues.vacuum_table()
        catalogues.empty_table()
        turns.append(turn)
    for outcome, bar in BARS.items():
        ratio = median(turn["copy"]["seconds"] / turn[outcome]["seconds"] for turn in turns)
        yield Row(
            f"CSV import / COPY, {LABELS[outcome]}", ratio, at_least=bar, note=describe_speed(turns, outcome, rows)
        )
    memory = max(turn[outcome]["rss_mb"] for turn in turns for outcome in BARS)
    yield Row(f"peak RSS of an import of {rows:,} rows", memory, "MB", at_most=120)


def describe_speed(turns: list[dict[str, Any]], outcome: str, rows: int) -> str:
    """Both rates, and the CPU seconds of database and import, which other work on the machine changes least."""
    ours, copy = (median(rows / turn[name]["seconds"] for turn in turns) for name in (outcome, "copy"))
    database, copy_database = (
        median(turn[name]["database_cpu_seconds"] for turn in turns) for name in (outcome, "copy")
    )
    own = median(turn[outcome]["cpu_seconds"] for turn in turns)
    return (
        f"{ours:,.0f} rows/s, COPY {copy:,.0f}; CPU: database {database:.1f} s, import {own:.1f} s, "
        f"COPY's database {copy_database:.1f} s"
    )


def measure_growth(folder: Path, owner: User, sizes: tuple[int, ...]) -> Iterator[Row]:
    """New rows into an empty table, small files several times."""
    rates, memory = [], []
    for rows in sizes:
        path = catalogues.write_catalogue(folder / "growth.csv", rows)
        runs = []
        for _ in range(max(1, min(5, sizes[-1] // rows // 2))):
            runs.append(run_import(path, owner))
            catalogues.empty_table()
        rates.append(rows / median(run["seconds"] for run in runs))
        memory.append(max(run["rss_mb"] for run in runs))
        yield Row(f"CSV import of {rows:,} new rows", rates[-1], "rows/s", note=f"peak RSS {memory[-1]:.0f} MB")
    # Not the smallest file: it is one chunk, in which nothing overlaps, and the start is a part of its time.
    judged = rates[1:]
    yield Row(f"CSV import, slowest / fastest size from {sizes[1]:,} rows on", min(judged) / max(judged), at_least=0.8)
    yield Row(f"peak RSS of an import of {sizes[-1]:,} rows", memory[-1], "MB", at_most=120)


def run_import(path: Path, owner: User) -> dict[str, Any]:
    """One import job in a fresh process, with the keys of time_run() and of one_import.py."""
    command = [sys.executable, "-m", "bench.one_import", path.name, str(owner.pk)]
    environment = os.environ | {"MEDIA_ROOT": str(path.parent)}
    output: list[str] = []

    def run() -> None:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        output.append(done.stdout)

    whole = time_run(run)
    own: dict[str, Any] = json.loads(output[0])
    return whole | own


def time_run(run: Callable[[], object]) -> dict[str, float]:
    """Wall seconds, and CPU seconds of the database."""
    before, began = database_cpu_seconds(), time.monotonic()
    run()
    return {"seconds": time.monotonic() - began, "database_cpu_seconds": database_cpu_seconds() - before}
