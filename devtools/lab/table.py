"""A result as a table: for the terminal, and for a chapter."""

from devtools.lab.contract import Figure
from devtools.lab.result import ArmResult, Measured, Result

KINDS = {True: "right", False: "wrong", None: ""}


def text_table(result: Result) -> str:
    """Medians with their spread, and how many times worse the first figure is than that of the right arm."""
    rows = [["", *(f"{figure.name}" for figure in result.figures), "worse by"]]
    rows += [
        [label(arm), *(spread(arm, figure) for figure in result.figures), worse(result, arm)] for arm in result.arms
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def markdown_table(result: Result) -> str:
    head = ["way", *(figure.name for figure in result.figures), "worse by"]
    lines = [head, ["---", *("---:" for _ in head[1:])]]
    lines += [
        [label(arm), *(spread(arm, figure) for figure in result.figures), worse(result, arm)] for arm in result.arms
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def label(arm: ArmResult) -> str:
    return f"{KINDS[arm.is_right]}: {arm.name}" if KINDS[arm.is_right] else arm.name


def spread(arm: ArmResult, figure: Figure) -> str:
    """ "6.41 s (6.2 to 6.6)"; the median alone, if all rounds measured the same."""
    if (measured := arm.figures.get(figure.name)) is None:
        return "-"
    text, low, high = figure.format(measured.median), *ends(measured, figure)
    return text if low == high else f"{text} ({low} to {high})"


def ends(measured: Measured, figure: Figure) -> tuple[str, str]:
    return f"{measured.low:,.{figure.digits}f}", f"{measured.high:,.{figure.digits}f}"


def worse(result: Result, arm: ArmResult) -> str:
    ratio = result.ratio(arm, result.figures[0])
    return "" if ratio is None else f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.1f} x"
