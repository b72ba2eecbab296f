"""Write the rows of a report as Parquet with all types, and as CSV that is safe in a spreadsheet.

Runs in the report's process (process.py).
"""

from pathlib import Path

import polars as pl

from workers.csvimport.cells.formulas import escape_formula

SAFE_START = r"^[\p{L}\p{N}]"  # of most cells; Python looks at the others


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    """Keeps an empty text apart from a missing one, and the places of a decimal."""
    table.write_parquet(path)


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """With a byte order mark, which Excel needs to recognize UTF-8. No spreadsheet runs a cell as a formula."""
    texts = [escape_column(column) for column in table if column.dtype == pl.String]
    table.with_columns(texts).write_csv(path, include_bom=True)


def escape_column(column: pl.Series) -> pl.Series:
    suspects = (~column.str.contains(SAFE_START)).fill_null(False).arg_true()
    if not len(suspects):
        return column
    return column.clone().scatter(suspects, [escape_formula(cell) for cell in column.gather(suspects)])
