"""Figures of one column, as values that JSON can hold."""

from datetime import date, timedelta
from math import isfinite
from typing import Any

import polars as pl

MAX_TOP_VALUES = 8
MAX_BARS = 24  # of a histogram
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_CHARACTERS = 80  # of a value
FRACTION_KINDS = {"decimal", "float"}
NUMERIC_KINDS = {*FRACTION_KINDS, "whole", "day"}  # can be correlated
DAY_0 = date(1970, 1, 1)


def describe_column(series: pl.Series, kind: str) -> dict[str, Any]:
    """kind: a result of rows.column_kind(). A figure that is undefined is None, or an empty list.

    An empty text, NaN and infinity count as missing.
    """
    values = present_values(series, kind)
    counts = values.value_counts(sort=True) if len(values) else None
    distinct = counts.height if counts is not None else 0
    figures: dict[str, Any] = {
        "rows": len(series),
        "present": len(values),
        "missing": len(series) - len(values),
        "distinct": distinct,
        "min": to_json(values.min()),
        "max": to_json(values.max()),
        "top": [] if counts is None or distinct == len(values) > 1 else _top(counts),
    }
    del counts  # of a column with many values it is the largest thing there is
    return figures | {"spread": None if kind == "truth" else _spread(to_numbers(values, kind), kind)}


def present_values(series: pl.Series, kind: str) -> pl.Series:
    values = series.drop_nulls()
    if kind == "text":
        return values.filter(values.str.len_bytes() > 0)
    return values.filter(values.is_finite()) if kind == "float" else values


def to_numbers(values: pl.Series, kind: str) -> pl.Series:
    if kind == "text":
        values = values.str.len_chars()
    return (values.to_physical() if kind == "day" else values).cast(pl.Float64)


def to_json(value: Any) -> Any:
    """A decimal becomes text, which is exact."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _top(counts: pl.DataFrame) -> list[list[Any]]:
    """Equal counts are in the order of their values: a report is reproducible."""
    name = counts.columns[0]
    first = counts.head(MAX_TOP_VALUES)
    if counts.height > MAX_TOP_VALUES:
        first = counts.filter(pl.col("count") >= first["count"].min())
    ordered = first.sort("count", name, descending=[True, False]).head(MAX_TOP_VALUES)
    return [[to_json(value), count] for value, count in ordered.iter_rows()]


def _spread(numbers: pl.Series, kind: str) -> dict[str, Any] | None:
    if not len(numbers):
        return None
    low, high, mean = (float(value) for value in (numbers.min(), numbers.max(), numbers.mean()))  # type: ignore[arg-type]
    quantiles = [float(numbers.quantile(share, "linear")) for share in QUANTILES]  # type: ignore[arg-type]
    width, count = _bins(low, high, whole=kind not in FRACTION_KINDS)
    bars = [0] * count
    # Divided before the difference is taken: between the largest floats there is no number for it.
    places = (numbers / width - low / width).floor().clip(0, count - 1).cast(pl.Int64)
    for place, rows in places.value_counts().iter_rows():
        bars[place] = rows
    label = _day if kind == "day" else _finite
    return {
        "of": "characters" if kind == "text" else "values",
        "mean": label(mean),
        "quantiles": [[share, label(value)] for share, value in zip(QUANTILES, quantiles, strict=True)],
        "positions": [_position(value, low, high) for value in quantiles],
        "edges": [label(low), *(label(low + width * place) for place in range(1, count)), label(high)],
        "bars": bars,
    }


def _bins(low: float, high: float, *, whole: bool) -> tuple[float, int]:
    """Whole numbers need a whole width, or the chart looks like a comb."""
    if whole:
        width = -(-(high - low + 1) // MAX_BARS)  # rounded up
        return width, int(-(-(high - low + 1) // width))
    width = high / MAX_BARS - low / MAX_BARS
    return (width, MAX_BARS) if width else (1.0, 1)


def _position(value: float, low: float, high: float) -> float:
    span = high / 2 - low / 2
    return min(1.0, max(0.0, (value / 2 - low / 2) / span)) if span else 0.5


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None


def _day(number: float) -> str:
    return (DAY_0 + timedelta(days=min(round(number), (date.max - DAY_0).days))).isoformat()
