"""One column of a report: how much is there, between which bounds, which values come most often, and how it is spread.

Runs in the report's own process (report_process.py). Values leave as JSON takes them: days in ISO form, text cut off.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

TOP = 8  # values that come most often
BINS = 24  # bars of a histogram, at most
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHOWN = 80  # characters of a value
DAYS = {"day"}
MEASURED = {"whole", "decimal", "float", *DAYS}  # what has quantiles and can be correlated
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
    return (values.to_physical() if kind in DAYS else values).cast(pl.Float64)


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
    """Quantiles, mean and histogram: bars of equal width between `edges`."""
    if not len(numbers):
        return None
    label = _as_day if kind in DAYS else float
    low, high = float(numbers.min() or 0), float(numbers.max() or 0)  # type: ignore[arg-type] # they are floats
    edges = _edges(low, high, whole=kind not in ("decimal", "float"))
    cut = numbers.cut(edges[1:-1], left_closed=True).to_physical() if len(edges) > 2 else pl.zeros(len(numbers), eager=True)
    bars = [0] * (len(edges) - 1)
    for bar, count in cut.value_counts().iter_rows():
        bars[int(bar)] = count
    mean = numbers.mean()
    return {
        "of": "characters" if kind == "text" else "days" if kind in DAYS else "values",
        "mean": label(mean if isinstance(mean, float) else low),
        "quantiles": [[share, label(float(numbers.quantile(share, "linear") or 0))] for share in SHARES],
        "low": label(low),
        "high": label(high),
        "edges": [label(edge) for edge in edges],
        "bars": bars,
        "positions": [_position(numbers.quantile(share, "linear"), low, high) for share in SHARES],
    }


def _edges(low: float, high: float, *, whole: bool) -> Sequence[float]:
    """Where the bars begin and end. Of whole numbers each bar holds equally many, or a chart would show a comb."""
    if low == high:
        return (low, high)
    if whole:
        width = -(-(high - low + 1) // BINS)  # rounded up
        count = -(-(high - low + 1) // width)
        return [low + width * place for place in range(int(count) + 1)]
    width = (high - low) / BINS
    return [low + width * place for place in range(BINS)] + [high]


def _position(value: float | None, low: float, high: float) -> float:
    """Where a value stands between the lowest, 0, and the highest, 1."""
    return 0.5 if value is None or low == high else (value - low) / (high - low)


def _as_day(number: float) -> str:
    days = min(round(number), (date.max - DAY_0).days)
    return (DAY_0 + timedelta(days=days)).isoformat()
