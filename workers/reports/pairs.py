"""Duplicate rows and correlated columns."""

from itertools import combinations
from math import isfinite
from typing import Any

import polars as pl

from workers.reports.columns import MAX_CHARACTERS, NUMERIC_KINDS, to_numbers

MAX_GROUPS = 10  # of duplicates that are shown
MAX_COLUMNS = 12  # of a correlation table
MIN_ROWS = 3  # of a correlation: two points are always on a line


def find_duplicates(table: pl.DataFrame, columns: list[str]) -> dict[str, Any]:
    """Ignores case, outer spaces, and rows that are empty in all `columns`.

    groups: the number of sets of equal rows; rows: in all sets; largest: [values of the first row, count].
    """
    plain = [pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("") for name in columns]
    # Hashes take a tenth of the memory of the texts. Only rows with equal hashes are compared by their texts.
    hashes = table.select(pl.struct(plain).hash()).to_series()
    suspects = hashes.is_duplicated().arg_true()
    keys = table.select(columns)[suspects].select(plain).with_columns(suspects.alias("place"))
    keys = keys.filter(pl.any_horizontal(pl.col(name) != "" for name in columns))
    groups = keys.group_by(columns).agg(pl.len().alias("count"), pl.col("place").min())
    groups = (
        groups.filter(pl.col("count") > 1).select("count", "place").sort("count", "place", descending=[True, False])
    )
    largest = groups.head(MAX_GROUPS)
    return {
        "columns": columns,
        "groups": groups.height,
        "rows": int(groups["count"].sum()),
        "largest": [
            [
                [(value or "")[:MAX_CHARACTERS] for value in table.select(pl.col(columns).cast(pl.String)).row(place)],
                count,
            ]
            for count, place in largest.iter_rows()
        ],
    }


def correlate(table: pl.DataFrame, kinds: dict[str, str]) -> dict[str, Any]:
    """Pearson's r of each pair of the first MAX_COLUMNS numeric columns, None if it is undefined."""
    names = [name for name, kind in kinds.items() if kind in NUMERIC_KINDS][:MAX_COLUMNS]
    numbers = {name: to_numbers(table[name], kinds[name]) for name in names}
    numbers = {name: column.set(~column.is_finite(), None) for name, column in numbers.items()}
    matrix: dict[str, dict[str, float | None]] = {
        name: {name: _pearson(numbers[name], numbers[name])} for name in names
    }
    for one, other in combinations(names, 2):
        matrix[one][other] = matrix[other][one] = _pearson(numbers[one], numbers[other])
    rows = [{"name": one, "values": [matrix[one][other] for other in names]} for one in names]
    return {"columns": names, "rows": rows}


def _pearson(one: pl.Series, other: pl.Series) -> float | None:
    both = pl.DataFrame([one.alias("x"), other.alias("y")]).drop_nulls()
    if len(both) < MIN_ROWS or any(column.min() == column.max() for column in both):
        return None
    r = float(both.select(pl.corr("x", "y")).item())
    return round(r, 3) if isfinite(r) else None  # the squares of the largest floats are none
