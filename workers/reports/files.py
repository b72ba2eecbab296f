"""Writes the rows of a report as Parquet and as CSV."""

from pathlib import Path

import polars as pl

from workers.csvimport.cells.formulas import escape_formula

SAFE_START = r"^[\p{L}\p{N}]"  # of most cells; Python looks at the others


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path)


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Escapes formulas. Begins with a byte order mark, which Excel needs to recognize UTF-8."""
    texts = [escape_column(column) for column in table if column.dtype == pl.String]
    table.with_columns(texts).write_csv(path, include_bom=True)


def escape_column(column: pl.Series) -> pl.Series:
    suspects = (~column.str.contains(SAFE_START)).fill_null(False).arg_true()
    if not len(suspects):
        return column
    return column.clone().scatter(suspects, [escape_formula(cell) for cell in column.gather(suspects)])
