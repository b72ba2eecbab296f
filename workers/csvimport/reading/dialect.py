"""How a CSV file is written, guessed from its first lines."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from workers.csvimport.reading.table_start import (
    ENOUGH_NAMES,
    CountNames,
    TableStart,
    TopRecord,
    common_width,
    guess_start,
)

DELIMITERS = ",;\t|"
QUOTES = ('"', "'", '\\"')  # doubled inside a cell, or with the backslash of MySQL
DECIMALS = ".,"
DATES = ("ymd", "dmy", "mdy")
SAMPLE_RECORDS = 100
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n?|\n|\Z)', re.IGNORECASE)  # the first, for Excel


@dataclass(frozen=True)
class Dialect:
    """encoding: "" if the whole file decides. quote: one of QUOTES.

    dates: the order if the year is last; year first is always read.
    """

    encoding: str = ""
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    dates: str = "ymd"


def dialect_from_arguments(arguments: dict[str, Any]) -> Dialect | None:
    return Dialect(**arguments["dialect"]) if arguments.get("dialect") else None


class Layout(NamedTuple):
    """records: the first filled ones. start: of the table among them."""

    delimiter: str
    quote: str
    records: list[TopRecord]
    start: TableStart


def guess_layout(head: str, count_names: CountNames, delimiter: str = "", quote: str = "") -> Layout:
    """delimiter, quote: "" for a guess."""
    declared = _SEPARATOR_LINE.match(head)
    if declared and not delimiter and declared[1] in DELIMITERS:
        delimiter = declared[1]
    best = max(
        (_guess_quotes(head, sign, quote, count_names) for sign in delimiter or DELIMITERS),
        key=lambda layout: _score(layout, count_names),
    )
    if quote or '\\"' not in head:
        return best
    escaped = _layout(head, best.delimiter, '\\"', count_names)
    return max(best, escaped, key=lambda layout: _score(layout, count_names))


def reader_options(delimiter: str, quote: str) -> dict[str, Any]:
    escape = "\\" if quote.startswith("\\") else None
    return {"delimiter": delimiter, "quotechar": quote[-1], "escapechar": escape, "skipinitialspace": True}


def _guess_quotes(head: str, delimiter: str, quote: str, count_names: CountNames) -> Layout:
    layout = _layout(head, delimiter, quote or '"', count_names)
    first = _table(layout)[:1]
    if quote or not first or not all(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in first[0]):
        return layout
    return _layout(head, delimiter, "'", count_names)


def _layout(head: str, delimiter: str, quote: str, count_names: CountNames) -> Layout:
    records = list(islice(_read_records(head, delimiter, quote), SAMPLE_RECORDS))
    return Layout(delimiter, quote, records, guess_start(records, count_names))


def _table(layout: Layout) -> list[list[str]]:
    return [cells for line, cells in layout.records if line >= layout.start.line]


def _score(layout: Layout, count_names: CountNames) -> tuple[int, bool, int, int]:
    """Of a table that begins on top, the delimiter is surer: behind a title, a comma in texts makes columns too."""
    table = _table(layout)
    width = len(table[0]) if layout.start.has_header and table else common_width(table)
    if width < 2:
        return 0, False, 0, 0
    names = count_names(table[0])
    fitting = sum(len(cells) >= width and not "".join(cells[width:]).strip() for cells in table)
    is_sure = len(table) == 1 or fitting > 1 if layout.start.has_header else fitting == len(table)
    is_on_top = len(table) == len(layout.records)
    return names if names >= ENOUGH_NAMES else 0, is_on_top and is_sure, fitting, width


def _read_records(head: str, delimiter: str, quote: str) -> Iterator[TopRecord]:
    """The filled ones until one cannot be read, without Excel's line about the delimiter."""
    lines = io.StringIO(head, newline="")
    skipped = 1 if _SEPARATOR_LINE.match(head) else 0
    next(islice(lines, skipped, skipped), None)  # moves on
    reader = csv.reader(lines, strict=True, **reader_options(delimiter, quote))
    line = skipped + 1
    with suppress(csv.Error):
        for cells in reader:
            if any(cells):
                yield TopRecord(line, cells)
            line = skipped + reader.line_num + 1
