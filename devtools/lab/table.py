"""A result as a table: for the terminal, and for a chapter."""

from collections.abc import Iterator
from itertools import zip_longest
from textwrap import wrap

from devtools.lab.contract import Figure
from devtools.lab.result import ArmResult, Result

KINDS = {True: "right", False: "wrong", None: ""}
NAME_WIDTH = 32  # characters, in the terminal


def text_table(result: Result) -> str:
    rows = [[wrap(name, NAME_WIDTH), *map(str.splitlines, cells)] for name, *cells in table_rows(result)]
    lines = [line for row in rows for line in zip_longest(*row, fillvalue="")]
    first, *others = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([line[0].ljust(first), *map(str.rjust, line[1:], others)]).rstrip() for line in lines)


def markdown_table(result: Result) -> str:
    head, *rows = [[cell.replace("\n", "<br>") for cell in row] for row in table_rows(result)]
    head[0], rule = "way", ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def table_rows(result: Result) -> Iterator[list[str]]:
    """Medians above their spread, and how many times worse the first figure is than that of the right arm."""
    yield ["", *(figure.name for figure in result.figures), "worse by"]
    for arm in result.arms:
        yield [label(arm), *(spread(arm, figure) for figure in result.figures), worse(result, arm)]


def label(arm: ArmResult) -> str:
    return f"{KINDS[arm.is_right]}: {arm.name}" if KINDS[arm.is_right] else arm.name


def spread(arm: ArmResult, figure: Figure) -> str:
    """Two lines, as "6.41 s" and "6.20 to 6.60"; the median alone, if all rounds measured the same."""
    if (measured := arm.figures.get(figure.name)) is None:
        return "-"
    low, high = (Figure("", "", digits=figure.digits).format(end) for end in (measured.low, measured.high))
    return figure.format(measured.median) + (f"\n{low} to {high}" if low != high else "")


def worse(result: Result, arm: ArmResult) -> str:
    ratio = result.ratio(arm, result.figures[0])
    return "" if ratio is None else f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.1f} x"
