"""Writes the rows of a report as Parquet and as CSV."""

from pathlib import Path

import polars as pl

from workers.csvimport.cells.formulas import DELIMITERS, SIGNS, escape_formula

# Python looks at what does not begin as most cells do, and at what has a sign in front of a part.
SUSPECT = rf"^[^\p{{L}}\p{{N}}]|[{DELIMITERS}][^\p{{L}}\p{{N}}]*[{SIGNS}]"


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path)


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Escapes formulas. Begins with a byte order mark, which Excel needs to recognize UTF-8."""
    texts = [escape_column(column) for column in table if column.dtype == pl.String]
    table.with_columns(texts).write_csv(path, include_bom=True)


def escape_column(column: pl.Series) -> pl.Series:
    suspects = column.str.contains(SUSPECT).fill_null(False).arg_true()
    if not len(suspects):
        return column
    return column.clone().scatter(suspects, [escape_formula(cell) for cell in column.gather(suspects)])
