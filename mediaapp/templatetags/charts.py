"""The figures of a report as the pages draw them: bars and boxes of server-side SVG. No script, no inline style.

A drawing is stretched to its place, so what it says in words stands beside it in HTML, where it keeps its size.
"""

from itertools import pairwise
from typing import Any

from django import template

from workers.practices.memory import MAIN_PROCESS, SIZES

register = template.Library()

WIDTH, HEIGHT = 240, 60  # of a drawing, in its own units
SMALL = SIZES["standard-1x"]
KINDS = {
    "text": "text",
    "whole": "whole numbers",
    "decimal": "numbers",
    "float": "numbers",
    "day": "days",
    "truth": "yes or no",
}


@register.filter
def figure(value: Any) -> str:
    """A value as a table shows it: 1,234.5, yes, a dash for none; a text or a day as it is."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        text = f"{value:,.2f}" if abs(value) < 1e15 else f"{value:.3g}"
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    return str(value)


@register.filter
def words(name: str) -> str:
    """A column's name as people read it."""
    return name.replace("_", " ").capitalize()


@register.filter
def kind_in_words(kind: str) -> str:
    """What a column holds."""
    return KINDS.get(kind, kind)


@register.filter
def share_of(part: float, whole: float) -> float:
    """How much of it that is, in percent with one digit; below 0.1 but not nothing is 0.1."""
    if not whole:
        return 0.0
    return max(round(100 * part / whole, 1), 0.1 if part else 0.0)


@register.filter
def strength(r: float | None) -> str:
    """How strongly two columns move together, as a class for its cell."""
    if r is None or abs(r) < 0.3:
        return "weak"
    return "strong" if abs(r) >= 0.7 else "clear"


@register.inclusion_tag("reports/_histogram.html")
def histogram(column: dict[str, Any]) -> dict[str, Any]:
    """The bars of one column's spread, with a box of its quantiles below them, and both as a table."""
    spread = column["spread"]
    counts, most, width = spread["bars"], max(spread["bars"]), WIDTH / len(spread["bars"])
    bars = [
        {
            "x": round(place * width + width * 0.06, 2),
            "width": round(width * 0.88, 2),
            "height": round(max(count / most * HEIGHT, 1 if count else 0), 2),
            "count": count,
            "low": low,
            "high": high,
        }
        for place, (count, (low, high)) in enumerate(zip(counts, pairwise(spread["edges"]), strict=True))
    ]
    for bar in bars:
        bar["y"] = HEIGHT - bar["height"]
    at = [round(position * WIDTH, 2) for position in spread["positions"]]
    box = {"from": at[0], "left": at[1], "middle": at[2], "width": round(at[3] - at[1], 2), "to": at[4]}
    quantiles = [(f"{share:.0%}".replace("%", " %"), value) for share, value in spread["quantiles"]]
    return {"column": column, "spread": spread, "bars": bars, "box": box, "quantiles": quantiles}


@register.inclusion_tag("reports/_small_dyno.html")
def small_dyno(peak: int) -> dict[str, Any]:
    """What a run of `peak` bytes would have done to a dyno of 512 MB, beside the worker's main process.

    Above its memory a dyno swaps, above twice as much it is restarted:
    https://devcenter.heroku.com/articles/dyno-memory-behavior
    """
    needed = peak + MAIN_PROCESS
    scale = max(needed, SMALL) / WIDTH
    return {
        "percent": round(100 * needed / SMALL),
        "needed": needed,
        "used": round(min(needed, SMALL) / scale, 2),
        "over": round(max(needed - SMALL, 0) / scale, 2),
        "mark": round(SMALL / scale, 2),
    }
