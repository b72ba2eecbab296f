"""What rows and columns of a report have to do with each other: rows that look the same, columns that move together.

Runs in the report's own process (report_process.py).
"""

from itertools import combinations
from math import isfinite
from typing import Any

import polars as pl

from workers.reports.columns import MEASURED, SHOWN, measure

EXAMPLES = 10  # groups of rows that look the same
MOST = 12  # columns of a correlation table
FEWEST = 3  # rows that a correlation is computed of: two points are always on a line


def find_duplicates(table: pl.DataFrame, columns: list[str]) -> dict[str, Any]:
    """Rows that agree in all of `columns`, without regard to case and to spaces at the ends.

    A row in which all of them are missing is like no other one. groups: how many sets of such rows; rows: in all of
    them; largest: [values, how many], as one of the rows writes them.
    """
    plain = [pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("") for name in columns]
    # First by a number for each row, which takes a tenth of the memory of their texts; then those few by the texts.
    hashes = table.select(pl.struct(plain).hash()).to_series()
    suspects = hashes.is_duplicated().arg_true()
    keys = table.select(columns)[suspects].select(plain).with_columns(suspects.alias("place"))
    keys = keys.filter(pl.any_horizontal(pl.col(name) != "" for name in columns))
    groups = keys.group_by(columns).agg(pl.len().alias("count"), pl.col("place").min())
    groups = (
        groups.filter(pl.col("count") > 1).select("count", "place").sort("count", "place", descending=[True, False])
    )
    largest = groups.head(EXAMPLES)
    return {
        "columns": columns,
        "groups": groups.height,
        "rows": int(groups["count"].sum()),
        "largest": [
            [[(value or "")[:SHOWN] for value in table.select(pl.col(columns).cast(pl.String)).row(place)], count]
            for count, place in largest.iter_rows()
        ],
    }


def correlate(table: pl.DataFrame, kinds: dict[str, str]) -> dict[str, Any]:
    """Pearson's r of every two of the first MOST columns that can be measured, of the rows that have both values.

    None where it is undefined: a column that has one value only, or fewer than FEWEST rows with both.
    """
    names = [name for name, kind in kinds.items() if kind in MEASURED][:MOST]
    numbers = {name: measure(table[name], kinds[name]) for name in names}
    numbers = {name: column.set(~column.is_finite(), None) for name, column in numbers.items()}
    found: dict[str, dict[str, float | None]] = {name: {name: _r(numbers[name], numbers[name])} for name in names}
    for one, other in combinations(names, 2):
        found[one][other] = found[other][one] = _r(numbers[one], numbers[other])
    rows = [{"name": one, "values": [found[one][other] for other in names]} for one in names]
    return {"columns": names, "rows": rows}


def _r(one: pl.Series, other: pl.Series) -> float | None:
    both = pl.DataFrame([one.alias("x"), other.alias("y")]).drop_nulls()
    if len(both) < FEWEST or any(column.min() == column.max() for column in both):
        return None
    r = float(both.select(pl.corr("x", "y")).item())
    return round(r, 3) if isfinite(r) else None  # the squares of the largest floats are none
