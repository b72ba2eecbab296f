"""The first figure of a result as a small bar chart in SVG, readable in light and dark."""

from collections.abc import Callable, Sequence
from math import log
from xml.sax.saxutils import escape

from devtools.lab.contract import Figure
from devtools.lab.result import ArmResult, Measured, Result
from devtools.lab.table import KINDS, label

Scale = Callable[[float], float]

WIDTH, ROW, TOP, BAR, VALUE = 720, 46, 46, 16, 150  # pixels; VALUE: for the text right of the longest bar
LOG_FROM = 50  # the ratio of the largest to the smallest value from which the scale is logarithmic
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2733; }
.title { font-weight: 600; } .soft { fill: #556070; font-size: 13px; }
.wrong { fill: #b3382c; } .right { fill: #1f7a4d; } .beside { fill: #63758c; }
.spread { stroke: #1f2733; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
text { fill: #e6eaf0; } .soft { fill: #a9b4c2; }
.wrong { fill: #f0786b; } .right { fill: #58c08d; } .beside { fill: #93a4ba; } .spread { stroke: #e6eaf0; }
}"""


def draw_chart(result: Result) -> str:
    """A bar for each arm, and a line from its lowest to its highest round."""
    figure = result.figures[0]
    arms = [arm for arm in result.arms if figure.name in arm.figures]
    scale, note = choose_scale([arm.figures[figure.name] for arm in arms])
    bars = "".join(draw_bar(arm, figure, TOP + ROW * place, scale) for place, arm in enumerate(arms))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + ROW * len(arms)}" role="img">'
        f"<title>{escape(result.question)}</title><desc>{escape(result.sentence)}</desc><style>{STYLE}</style>\n"
        f'<text class="title" x="0" y="16">{escape(f"{figure.name}, {figure.unit}".rstrip(", "))}</text>'
        f'<text class="soft" x="{WIDTH}" y="16" text-anchor="end">{note}</text>\n{bars}</svg>\n'
    )


def choose_scale(measured: Sequence[Measured]) -> tuple[Scale, str]:
    """From a value to pixels, and a note on the axis. Logarithmic where a linear one would hide the small bars."""
    room, high = WIDTH - VALUE, max(each.high for each in measured) or 1
    positive = [each.low for each in measured if each.low > 0]
    if not positive or high / min(positive) < LOG_FROM:
        return lambda value: room * value / high, ""
    low = min(positive) / 2
    return lambda value: room * log(max(value, low) / low) / log(high / low), "logarithmic scale"


def draw_bar(arm: ArmResult, figure: Figure, top: int, scale: Scale) -> str:
    measured, middle = arm.figures[figure.name], top + 6 + BAR // 2
    end, low, high = (scale(value) for value in (measured.median, measured.low, measured.high))
    spread = f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>' if high - low >= 1 else ""
    kind, width = KINDS[arm.is_right] or "beside", max(end, 2)
    return (
        f'<text x="0" y="{top}">{escape(label(arm))}</text>'
        f'<rect class="{kind}" x="0" y="{top + 6}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        f'{spread}<text x="{max(end, high) + 8:.1f}" y="{middle + 5}">{escape(figure.format(measured.median))}</text>\n'
    )
