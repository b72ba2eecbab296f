"""Where in a CSV file its table begins, and whether with the names of its columns.

Before the table there may be Excel's `sep=;`, comments and title lines.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_TOP_RECORDS = 30  # among which the header is looked for
ENOUGH_NAMES = 2  # of fields, in a record that must be the header
CountNames = Callable[[Sequence[str]], int]  # how many fields some cells name
_NUMBER = re.compile(r"[-+]?[$€£]? ?\d[\d.,' ]*(?: ?[€%])?")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T].*)?")
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True)
class TableStart:
    """line: of the header or else of the first row, counted from 1. Blank records are skipped there."""

    line: int = 1
    has_header: bool = True


ON_TOP = TableStart()


class TopRecord(NamedTuple):
    line: int
    cells: list[str]


def start_from_arguments(arguments: dict[str, Any]) -> TableStart | None:
    """None: guess it. Mappings of older releases are of tables with a header on top."""
    if arguments.get("start"):
        return TableStart(**arguments["start"])
    return ON_TOP if arguments.get("columns") is not None else None


def guess_start(records: Sequence[TopRecord], count_names: CountNames) -> TableStart:
    """records: the file's first filled ones."""
    top = records[:MAX_TOP_RECORDS]
    named = [record for record in top if count_names(record.cells) >= ENOUGH_NAMES]
    if named:
        # False first: a comment is the header only where nothing else can be.
        return TableStart(min(named, key=lambda record: record.cells[0].startswith("#")).line)
    header = _skip_titles(top)
    if header and not count_names(header[0].cells) and _is_row(header):
        return find_rows(top)
    return TableStart(header[0].line) if header else ON_TOP


def find_rows(records: Sequence[TopRecord]) -> TableStart:
    """Of a table without a header. Skips comments, but no title: that may be a row with empty cells."""
    width = _table_width(records)
    rows = (line for line, cells in records[:MAX_TOP_RECORDS] if not _is_comment(cells, width))
    return TableStart(next(rows, 1), has_header=False)


def common_width(rows: Iterable[Sequence[str]]) -> int:
    counts = Counter(map(len, rows))
    return max(counts, key=lambda width: (counts[width], width), default=0)


def _skip_titles(top: Sequence[TopRecord]) -> Sequence[TopRecord]:
    width = _table_width(top)
    for index, (_, cells) in enumerate(top):
        is_title = sum(map(bool, map(str.strip, cells))) * 2 <= width
        if not (is_title or _is_comment(cells, width)):
            return top[index:]
    return top


def _table_width(records: Sequence[TopRecord]) -> int:
    return common_width(cells for _, cells in records if not cells[0].startswith("#"))


def _is_comment(cells: Sequence[str], width: int) -> bool:
    return cells[0].startswith("#") and len(cells) < width


def _is_row(records: Sequence[TopRecord]) -> bool:
    """Whether the first record has a value such as those below it: a number, a date, or a code of the same form."""
    first, others = records[0].cells, [cells for _, cells in records[1:] if len(cells) == len(records[0].cells)]
    for index, cell in enumerate(first):
        below = [cells[index] for cells in others if cells[index].strip()]
        form = _form(cell)
        if form and (below or form in ("number", "date")) and all(_form(other) == form for other in below):
            return True
    return False


def _form(cell: str) -> str:
    """ "" for a text without digits, and for a year, which may be the name of a column."""
    text = cell.strip()[:100]
    if not re.search(r"\d", text) or _YEAR.fullmatch(text):
        return ""
    if _DATE.fullmatch(text):
        return "date"
    return "number" if _NUMBER.fullmatch(text) else re.sub(r"\d+", "9", text)
