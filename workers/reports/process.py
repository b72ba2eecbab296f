"""The report's own process: `python -m workers.reports.process`. report.py starts it, and nobody else.

A process of its own, because each worker would pay for the import of polars, its threads do not survive the fork of a
pool, Rust aborts where Python would raise a MemoryError (docs/facts/tools.md#polars), and because what it held goes
back to the machine at its end. It knows no Django, no database and no secret: rows come in, files and figures go out.
It dies with its worker, whatever it computes just then: the next attempt needs the memory.

stdin: frames, each with its length before it (8 bytes, big-endian). The first is a Task as JSON, the others are rows as
CSV, an empty one ends them. stdout: a line of JSON for each step, {"done", "total", "stage"}, at last {"rows", "peak"}.
"""

import json
import struct
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypedDict

import polars as pl

from workers.child_process import die_with_parent
from workers.reports.columns import describe
from workers.reports.files import write_csv, write_parquet
from workers.reports.pairs import correlate, find_duplicates
from workers.telemetry.meter import high_water_bytes

LENGTH = struct.Struct(">Q")
TYPES: dict[str, Any] = {
    "text": pl.String,
    "whole": pl.Int64,
    "float": pl.Float64,
    "day": pl.Date,
    "truth": pl.Boolean,
}


class Task(TypedDict):
    """columns: [name, kind, digits, places], the last two of decimals. key: of several rows with one the last counts.

    same: the columns by which rows look the same. summary, parquet, csv: paths to write.
    """

    columns: list[tuple[str, str, int, int]]
    key: list[str]
    same: list[str]
    summary: str
    parquet: str
    csv: str


def make(task: Task, frames: Iterator[bytes], tell: Callable[[int, int, str], None]) -> int:
    """Reads the rows and writes the three files. Returns how many rows.

    tell(done, total, stage): called before every step.
    """
    kinds = {name: kind for name, kind, _, _ in task["columns"]}
    steps = len(kinds) + 4
    table = read_rows(task, frames)
    found: dict[str, Any] = {"rows": table.height, "columns": []}
    for step, (name, kind) in enumerate(kinds.items()):
        tell(step, steps, f"computing {name.replace('_', ' ')}")
        found["columns"].append({"name": name, "kind": kind} | describe(table[name], kind))
    tell(len(kinds), steps, "looking for duplicates")
    found["duplicates"] = find_duplicates(table, task["same"])
    tell(len(kinds) + 1, steps, "computing correlations")
    found["correlations"] = correlate(table, kinds)
    tell(len(kinds) + 2, steps, "writing the Parquet file")
    write_parquet(table, Path(task["parquet"]))
    tell(len(kinds) + 3, steps, "writing the CSV file")
    write_csv(table, Path(task["csv"]))
    Path(task["summary"]).write_text(json.dumps(found, allow_nan=False))
    return table.height


def read_rows(task: Task, frames: Iterator[bytes]) -> pl.DataFrame:
    """The frames as one table, each read by itself: no second copy of all the text is ever held."""
    schema = {
        name: pl.Decimal(digits, places) if kind == "decimal" else TYPES[kind]
        for name, kind, digits, places in task["columns"]
    }
    pages = [pl.read_csv(BytesIO(frame), has_header=False, schema=schema) for frame in frames]
    table = pl.concat([pl.DataFrame(schema=schema), *pages])
    return table.unique(task["key"], keep="last", maintain_order=True) if task["key"] else table


def frames_of(source: IO[bytes]) -> Iterator[bytes]:
    """The frames until the empty one. Raises EOFError where the source ends before it: whoever wrote it has died."""
    while True:
        head = source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise EOFError
        frame = source.read(LENGTH.unpack(head)[0])
        if not frame:
            return
        yield frame


def say(**line: Any) -> None:
    """One line to whoever started this process. Raises BrokenPipeError if it is gone."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """The whole life of the process."""
    die_with_parent()  # a worker that died before leaves a pipe that ends: frames_of() raises EOFError
    frames = frames_of(sys.stdin.buffer)
    task: Task = json.loads(next(frames))
    rows = make(task, frames, lambda done, total, stage: say(done=done, total=total, stage=stage))
    say(rows=rows, peak=high_water_bytes("self"))


if __name__ == "__main__":
    main()
