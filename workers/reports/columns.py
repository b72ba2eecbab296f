"""One column of a report: how much is there, between which bounds, which values come most often, and how it is spread.

Runs in the report's own process (report_process.py). Values leave as JSON takes them: days in ISO form, text cut off.
"""

from datetime import date, timedelta
from math import isfinite
from typing import Any

import polars as pl

TOP = 8  # values that come most often
BINS = 24  # bars of a histogram, at most
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHOWN = 80  # characters of a value
FRACTIONS = {"decimal", "float"}
MEASURED = {*FRACTIONS, "whole", "day"}  # what can be correlated
DAY_0 = date(1970, 1, 1)


def describe(series: pl.Series, kind: str) -> dict[str, Any]:
    """The figures of one column; kind: a key of report_rows.KINDS. What cannot be said is None, or an empty list.

    An empty text, and a number that is none (NaN, infinity), count as missing. Of text, `spread` is of its lengths in
    characters: quantiles of values that have no distances would say nothing.
    """
    values = present(series, kind)
    counted = values.value_counts(sort=True) if len(values) else None
    distinct = counted.height if counted is not None else 0
    found: dict[str, Any] = {
        "rows": len(series),
        "present": len(values),
        "missing": len(series) - len(values),
        "distinct": distinct,
        "min": shown(values.min()),
        "max": shown(values.max()),
        "top": [] if counted is None or distinct == len(values) > 1 else _top(counted),
    }
    del counted  # of a column with many values it is the largest thing there is
    return found | {"spread": None if kind == "truth" else _spread(measure(values, kind), kind)}


def present(series: pl.Series, kind: str) -> pl.Series:
    """The values without those that are missing."""
    values = series.drop_nulls()
    if kind == "text":
        return values.filter(values.str.len_bytes() > 0)
    return values.filter(values.is_finite()) if kind == "float" else values


def measure(values: pl.Series, kind: str) -> pl.Series:
    """Values as numbers with distances: a day as the days since 1970, a text as its length."""
    if kind == "text":
        values = values.str.len_chars()
    return (values.to_physical() if kind == "day" else values).cast(pl.Float64)


def shown(value: Any) -> Any:
    """As JSON takes it, and a page has room for it. A decimal as text: it is exact."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _top(counted: pl.DataFrame) -> list[list[Any]]:
    """[value, how often], most often first; among equals in their own order, so that a report is the same each time."""
    name = counted.columns[0]
    first = counted.head(TOP)
    if counted.height > TOP:
        first = counted.filter(pl.col("count") >= first["count"].min())
    ordered = first.sort("count", name, descending=[True, False]).head(TOP)
    return [[shown(value), count] for value, count in ordered.iter_rows()]


def _spread(numbers: pl.Series, kind: str) -> dict[str, Any] | None:
    """Quantiles, mean and histogram: bars of equal width between `edges`. positions: of the quantiles, 0 to 1."""
    if not len(numbers):
        return None
    low, high, mean = (float(value) for value in (numbers.min(), numbers.max(), numbers.mean()))  # type: ignore[arg-type]
    quantiles = [float(numbers.quantile(share, "linear")) for share in SHARES]  # type: ignore[arg-type]
    width, count = _bins(low, high, whole=kind not in FRACTIONS)
    bars = [0] * count
    # Divided before the difference is taken: between the largest floats there is no number for it.
    places = (numbers / width - low / width).floor().clip(0, count - 1).cast(pl.Int64)
    for place, rows in places.value_counts().iter_rows():
        bars[place] = rows
    label = _day if kind == "day" else _finite
    return {
        "of": "characters" if kind == "text" else "values",
        "mean": label(mean),
        "quantiles": [[share, label(value)] for share, value in zip(SHARES, quantiles, strict=True)],
        "positions": [_position(value, low, high) for value in quantiles],
        "edges": [label(low), *(label(low + width * place) for place in range(1, count)), label(high)],
        "bars": bars,
    }


def _bins(low: float, high: float, *, whole: bool) -> tuple[float, int]:
    """The width of a bar, and how many. Of whole numbers each holds equally many, or a chart would show a comb."""
    if whole:
        width = -(-(high - low + 1) // BINS)  # rounded up
        return width, int(-(-(high - low + 1) // width))
    width = high / BINS - low / BINS
    return (width, BINS) if width else (1.0, 1)


def _position(value: float, low: float, high: float) -> float:
    """Where a value stands between the lowest, 0, and the highest, 1."""
    span = high / 2 - low / 2
    return min(1.0, max(0.0, (value / 2 - low / 2) / span)) if span else 0.5


def _finite(number: float) -> float | None:
    """JSON has no other numbers. The mean of the largest floats is none."""
    return number if isfinite(number) else None


def _day(number: float) -> str:
    return (DAY_0 + timedelta(days=min(round(number), (date.max - DAY_0).days))).isoformat()
