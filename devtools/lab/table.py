"""A result as tables: for the terminal, and for a chapter. Arms that measure other things have a table of their own."""

from collections.abc import Iterator
from itertools import zip_longest
from textwrap import wrap

from devtools.lab.contract import Figure
from devtools.lab.result import ArmResult, Result

KINDS = {True: "right", False: "wrong", None: ""}
NAME_WIDTH = 32  # characters, in the terminal
Table = list[list[str]]  # of cells, the head first


def text_table(result: Result) -> str:
    return "\n\n".join(map(format_text, tables(result)))


def format_text(table: Table) -> str:
    rows = [[wrap(name, NAME_WIDTH), *map(str.splitlines, cells)] for name, *cells in table]
    lines = [line for row in rows for line in zip_longest(*row, fillvalue="")]
    first, *others = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([line[0].ljust(first), *map(str.rjust, line[1:], others)]).rstrip() for line in lines)


def markdown_table(result: Result) -> str:
    return "\n\n".join(map(format_markdown, tables(result)))


def format_markdown(table: Table) -> str:
    head, *rows = [[cell.replace("\n", "<br>") for cell in row] for row in table]
    head[0], rule = "way", ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def tables(result: Result) -> Iterator[Table]:
    """Medians above their spread, and how many times worse the first figure is than that of the right arm."""
    for arms in groups(result.arms):
        figures = [figure for figure in result.figures if any(figure.name in arm.figures for arm in arms)]
        ratios = [worse(result, arm) for arm in arms]
        table = [["", *(figure.name for figure in figures)]]
        table += [[label(arm), *(spread(arm, figure) for figure in figures)] for arm in arms]
        if any(ratios):
            table = [[*row, cell] for row, cell in zip(table, ["worse by", *ratios], strict=True)]
        yield table


def groups(arms: list[ArmResult]) -> list[list[ArmResult]]:
    """Those that share a figure stand together."""
    found: list[list[ArmResult]] = []
    for arm in arms:
        shared = [group for group in found if any(arm.figures.keys() & other.figures.keys() for other in group)]
        found = [group for group in found if group not in shared]
        found.append([*(other for group in shared for other in group), arm])
    return found


def label(arm: ArmResult) -> str:
    return f"{KINDS[arm.is_right]}: {arm.name}" if KINDS[arm.is_right] else arm.name


def spread(arm: ArmResult, figure: Figure) -> str:
    """Two lines, as "6.41 s" and "6.20 to 6.60"; the median alone, if all rounds measured the same."""
    if (measured := arm.figures.get(figure.name)) is None:
        return "-"
    middle, low, high = map(figure.format, (measured.median, measured.low, measured.high))
    if len({text.partition(" ")[2] for text in (middle, low, high)}) == 1:  # the unit of the median is that of all
        low, high = low.partition(" ")[0], high.partition(" ")[0]
    return middle + (f"\n{low} to {high}" if low != high else "")


def worse(result: Result, arm: ArmResult) -> str:
    ratio = result.ratio(arm, result.figures[0])
    return "" if ratio is None else f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.1f} x"
