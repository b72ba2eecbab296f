"""The rows of a report as files to take away: Parquet with all types, CSV that a spreadsheet opens without harm.

Runs in the report's own process (report_process.py).
"""

from pathlib import Path

import polars as pl

from workers.csvimport.cells.formulas import escape_formula

HARMLESS = r"^[\p{L}\p{N}]"  # how most cells begin; only the others are looked at in Python


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    """Equal to the rows: an empty text stays apart from a missing one, a decimal keeps its places."""
    table.write_parquet(path)


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """With a byte order mark, without which Excel takes UTF-8 for something else; no cell is run as a formula."""
    texts = [escaped(column) for column in table if column.dtype == pl.String]
    table.with_columns(texts).write_csv(path, include_bom=True)


def escaped(column: pl.Series) -> pl.Series:
    suspects = (~column.str.contains(HARMLESS)).fill_null(False).arg_true()
    if not len(suspects):
        return column
    return column.clone().scatter(suspects, [escape_formula(cell) for cell in column.gather(suspects)])
