"""The process that computes a report, because polars cannot run in a worker (docs/facts/tools.md#polars).

It knows no Django, no database and no secret. It dies with its worker, because the next attempt needs the memory.
"""

import json
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from workers.child_process import die_with_parent
from workers.reports.columns import describe_column
from workers.reports.files import write_csv, write_parquet
from workers.reports.pairs import correlate, find_duplicates
from workers.reports.protocol import ReportTask, read_frames
from workers.telemetry.meter import high_water_bytes

TYPES: dict[str, Any] = {
    "text": pl.String,
    "whole": pl.Int64,
    "float": pl.Float64,
    "day": pl.Date,
    "truth": pl.Boolean,
}


def compute_report(task: ReportTask, chunks: Iterator[bytes], report: Callable[[int, int, str], None]) -> int:
    """Returns the number of rows."""
    kinds = {name: kind for name, kind, _, _ in task["columns"]}
    steps = len(kinds) + 4
    table = read_table(task, chunks)
    summary: dict[str, Any] = {"rows": table.height, "columns": []}
    for step, (name, kind) in enumerate(kinds.items()):
        report(step, steps, f"computing {name.replace('_', ' ')}")
        summary["columns"].append({"name": name, "kind": kind} | describe_column(table[name], kind))
    report(len(kinds), steps, "looking for duplicates")
    summary["duplicates"] = find_duplicates(table, task["same"])
    report(len(kinds) + 1, steps, "computing correlations")
    summary["correlations"] = correlate(table, kinds)
    report(len(kinds) + 2, steps, "writing the Parquet file")
    write_parquet(table, Path(task["parquet"]))
    report(len(kinds) + 3, steps, "writing the CSV file")
    write_csv(table, Path(task["csv"]))
    Path(task["summary"]).write_text(json.dumps(summary, allow_nan=False))
    return table.height


def read_table(task: ReportTask, chunks: Iterator[bytes]) -> pl.DataFrame:
    """Reads one chunk at a time, so that there is no second copy of all the text."""
    schema = {
        name: pl.Decimal(digits, places) if kind == "decimal" else TYPES[kind]
        for name, kind, digits, places in task["columns"]
    }
    tables = [pl.read_csv(BytesIO(chunk), has_header=False, schema=schema) for chunk in chunks]
    table = pl.concat([pl.DataFrame(schema=schema), *tables])
    return table.unique(task["key"], keep="last", maintain_order=True) if task["key"] else table


def write_message(**message: Any) -> None:
    """Raises BrokenPipeError if the worker has died."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    die_with_parent()  # a worker that had died before: read_frames raises EOFError
    frames = read_frames(sys.stdin.buffer)
    task: ReportTask = json.loads(next(frames))
    rows = compute_report(task, frames, lambda done, total, stage: write_message(done=done, total=total, stage=stage))
    write_message(rows=rows, peak=high_water_bytes("self"))


if __name__ == "__main__":
    main()
