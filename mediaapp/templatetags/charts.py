"""Charts as server-side SVG: the Content-Security-Policy allows no inline style or script."""

from itertools import pairwise
from typing import Any

from django import template

from workers.capacity.run_memory import DYNO_BYTES, MAIN_PROCESS_BYTES

register = template.Library()

WIDTH, HEIGHT = 240, 60  # of the SVG's viewBox
SMALL_DYNO_BYTES = DYNO_BYTES["standard-1x"]
KIND_LABELS = {
    "text": "text",
    "whole": "whole numbers",
    "decimal": "numbers",
    "float": "numbers",
    "day": "days",
    "truth": "yes or no",
}


@register.filter
def format_value(value: Any) -> str:
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        text = f"{value:,.2f}" if abs(value) < 1e15 else f"{value:.3g}"
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    return str(value)


@register.filter
def column_title(name: str) -> str:
    return name.replace("_", " ").capitalize()


@register.filter
def kind_label(kind: str) -> str:
    return KIND_LABELS.get(kind, kind)


@register.filter
def percent_of(part: float, whole: float) -> float:
    if not whole:
        return 0.0
    return max(round(100 * part / whole, 1), 0.1 if part else 0.0)


@register.filter
def correlation_class(r: float | None) -> str:
    if r is None or abs(r) < 0.3:
        return "weak"
    return "strong" if abs(r) >= 0.7 else "clear"


@register.inclusion_tag("reports/_histogram.html")
def histogram(column: dict[str, Any]) -> dict[str, Any]:
    spread = column["spread"]
    counts, largest, width = spread["bars"], max(spread["bars"]), WIDTH / len(spread["bars"])
    bars = [
        {
            "x": round(place * width + width * 0.06, 2),
            "width": round(width * 0.88, 2),
            "height": round(max(count / largest * HEIGHT, 1 if count else 0), 2),
            "count": count,
            "low": low,
            "high": high,
        }
        for place, (count, (low, high)) in enumerate(zip(counts, pairwise(spread["edges"]), strict=True))
    ]
    for bar in bars:
        bar["y"] = HEIGHT - bar["height"]
    x = [round(position * WIDTH, 2) for position in spread["positions"]]
    box = {"from": x[0], "left": x[1], "middle": x[2], "width": round(x[3] - x[1], 2), "to": x[4]}
    quantiles = [(f"{share:.0%}".replace("%", " %"), value) for share, value in spread["quantiles"]]
    return {"column": column, "spread": spread, "bars": bars, "box": box, "quantiles": quantiles}


@register.inclusion_tag("reports/_small_dyno.html")
def small_dyno_memory(peak: int) -> dict[str, Any]:
    """A dyno swaps above its memory, and is restarted above twice its memory:

    https://devcenter.heroku.com/articles/dyno-memory-behavior
    """
    needed = peak + MAIN_PROCESS_BYTES
    scale = max(needed, SMALL_DYNO_BYTES) / WIDTH
    return {
        "percent": round(100 * needed / SMALL_DYNO_BYTES),
        "needed": needed,
        "used": round(min(needed, SMALL_DYNO_BYTES) / scale, 2),
        "over": round(max(needed - SMALL_DYNO_BYTES, 0) / scale, 2),
        "mark": round(SMALL_DYNO_BYTES / scale, 2),
    }
