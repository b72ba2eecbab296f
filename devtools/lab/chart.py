"""The first figure of a result as a small bar chart in SVG, readable in light and dark."""

import math
from xml.sax.saxutils import escape

from devtools.lab.contract import Figure
from devtools.lab.result import ArmResult, Result
from devtools.lab.table import KINDS, label

WIDTH, ROW, TOP, BAR = 720, 46, 46, 16  # pixels
VALUE, WORDS = 150, 170  # for the texts right of the longest bar: of its value, and of the figures in words
MIN_BAR = 2  # so that the smallest is seen
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2733; }
.title { font-weight: 600; }
.wrong { fill: #b3382c; } .right { fill: #1f7a4d; } .beside { fill: #63758c; }
.spread { stroke: #1f2733; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
text { fill: #e6eaf0; }
.wrong { fill: #f0786b; } .right { fill: #58c08d; } .beside { fill: #93a4ba; } .spread { stroke: #e6eaf0; }
}"""


def draw_chart(result: Result) -> str:
    """A bar for each arm, and a line from its lowest to its highest round. Lengths compare, but for that of "never"."""
    figure = result.figures[0]
    arms = [arm for arm in result.arms if arm.in_chart and figure.name in arm.figures]
    values = [value for arm in arms for value in arm.figures[figure.name].values]
    numbers = [value for value in values if math.isfinite(value)]
    in_words = [each for each in result.figures if each.in_words]
    width = WIDTH - VALUE - WORDS * len(in_words)
    longest = width if numbers == values else width / 2
    scale = longest / (max(numbers, default=0) or 1)
    bars = "".join(draw_bar(arm, [figure, *in_words], TOP + ROW * at, scale, width) for at, arm in enumerate(arms))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + ROW * len(arms)}" role="img">'
        f"<title>{escape(result.question)}</title><desc>{escape(result.sentence)}</desc><style>{STYLE}</style>\n"
        f'<text class="title" x="0" y="16">{escape(f"{figure.name}, {figure.unit}".rstrip(", "))}</text>\n'
        f"{bars}</svg>\n"
    )


def draw_bar(arm: ArmResult, figures: list[Figure], top: int, scale: float, width: int) -> str:
    """scale: pixels for a unit of the first figure. width: pixels of the longest bar."""
    measured, middle = arm.figures[figures[0].name], top + 6 + BAR // 2
    values = measured.median, measured.low, measured.high
    end, low, high = (min(scale * value, width) for value in values)  # that of "never" has the whole width
    spread = f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>' if high - low >= 1 else ""
    kind, texts = KINDS[arm.is_right] or "beside", [figures[0].format(measured.median)]
    texts += [
        f"{each.name}: {each.format(arm.figures[each.name].median)}" for each in figures[1:] if each.name in arm.figures
    ]
    return (
        f'<text x="0" y="{top}">{escape(label(arm))}</text>'
        f'<rect class="{kind}" x="0" y="{top + 6}" width="{max(end, MIN_BAR):.1f}" height="{BAR}" rx="2"/>'
        f'{spread}<text x="{max(end, high) + 8:.1f}" y="{middle + 5}">{escape(", ".join(texts))}</text>\n'
    )
