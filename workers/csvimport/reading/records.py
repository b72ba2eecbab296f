"""A CSV file as pages of records, in memory that does not grow.

A record whose quotes do not match costs one line: what its opened quote swallowed is read again.
"""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import accumulate, compress, islice
from typing import IO, NamedTuple

from workers.csvimport.reading.dialect import Dialect, reader_options
from workers.csvimport.reading.errors import (
    EMPTY,
    MAX_COLUMNS,
    MAX_LINE_CHARACTERS,
    QUOTES_MISMATCHED,
    CsvUnreadable,
)
from workers.csvimport.reading.table_start import ON_TOP, TableStart, common_width
from workers.csvimport.reading.text import open_text, strip_dos_end

PAGE_LINES = 1_000  # more of them no longer fit the processor's cache, at twice the time a line
PAGE_CHARACTERS = 400_000


class RecordPage(NamedTuple):
    """rows[i] begins on line lines[i]; blank records are left out.

    broken: (line, guessed cells) of each record whose quotes do not match.
    """

    lines: list[int]
    rows: list[list[str]]
    broken: list[tuple[int, list[str]]]
    next_line: int


@dataclass
class SkipBudget:
    """Characters that may be read again behind quotes that do not match."""

    characters: int = field(default=20 * MAX_LINE_CHARACTERS)

    def spend(self, characters: int, line: int) -> None:
        """Raises CsvUnreadable."""
        self.characters -= characters
        if self.characters < 0:
            raise CsvUnreadable(
                f"From line {line:,} on the quotes do not match. Choose other quotes, or mend the file."
            )

    def renew(self) -> None:
        self.characters += MAX_LINE_CHARACTERS


def read_header(source: IO[bytes], dialect: Dialect, start: TableStart = ON_TOP) -> tuple[list[str], int]:
    """The names of the columns, and the line where the rows begin. Raises CsvUnreadable."""
    with closing(read_pages(source, dialect, first_line=start.line)) as pages:
        page = next(pages, None)
    if page is None:
        raise CsvUnreadable(EMPTY)
    if not start.has_header:
        width = _check_width(common_width(page.rows))
        return [f"column {number}" for number in range(1, width + 1)], start.line
    first, *others = sorted([*page.lines, *(line for line, _ in page.broken)])
    if first not in page.lines:
        raise CsvUnreadable(f"The header, in line {first}, cannot be read: {QUOTES_MISMATCHED}.")
    _check_width(len(page.rows[0]))
    return page.rows[0], others[0] if others else page.next_line


def _check_width(width: int) -> int:
    if width > MAX_COLUMNS:
        raise CsvUnreadable(
            f"The header has {width:,} columns, and at most {MAX_COLUMNS:,} can be read. Take some out."
        )
    return width


def read_pages(
    source: IO[bytes], dialect: Dialect, *, first_line: int = 1, page_lines: int = PAGE_LINES
) -> Generator[RecordPage, None, None]:
    """A record must begin on first_line. Close the generator before you close the source."""
    with open_text(source, dialect.encoding) as text:
        next(islice(text, first_line - 1, first_line - 1), None)
        next_line, unread_lines, budget = first_line, list[str](), SkipBudget()
        for lines in _group_lines(text, first_line, page_lines):
            page, unread_lines = _read_page(unread_lines + lines, next_line, dialect, budget, is_end=not lines)
            budget.renew()
            next_line = page.next_line
            if page.rows or page.broken:
                yield page


def _group_lines(text: Iterator[str], first_line: int, page_lines: int) -> Iterator[list[str]]:
    """Yields [] at the end. The groups are the same wherever the reading begins."""
    group: list[str] = []
    characters = 0
    for number, line in enumerate(text, first_line):
        group.append(line)
        characters += len(line)
        if number % page_lines == 0 or characters > PAGE_CHARACTERS:
            group[-1] = strip_dos_end(line)
            yield group
            group, characters = [], 0
    if group:
        group[-1] = strip_dos_end(group[-1])
        yield group
    yield []


def _read_page(
    lines: list[str], first_line: int, dialect: Dialect, budget: SkipBudget, *, is_end: bool
) -> tuple[RecordPage, list[str]]:
    """The records that begin on these lines, and the lines of a last one that may go on."""
    page = RecordPage([], [], [], first_line)
    start = 0
    while True:
        rows, end, is_matched = _read_rows(lines, start, dialect)
        row_lines = _number_lines(rows, first_line + start, end - start)
        filled = list(map(any, rows))
        page.rows.extend(compress(rows, filled))
        page.lines.extend(compress(row_lines, filled))
        start = row_lines[-1] - first_line
        goes_on = end == len(lines) and not is_end and sum(map(len, lines[start:])) < MAX_LINE_CHARACTERS
        if is_matched or goes_on:
            return page._replace(next_line=first_line + start), lines[start:]
        budget.spend(sum(map(len, lines[start:end])), first_line + start)
        page.broken.append((first_line + start, _guess_cells(lines[start], dialect)))
        start += 1


def _read_rows(lines: list[str], start: int, dialect: Dialect) -> tuple[list[list[str]], int, bool]:
    rows: list[list[str]] = []
    following = map(lines.__getitem__, range(start, len(lines)))
    reader = csv.reader(following, strict=True, **reader_options(dialect.delimiter, dialect.quote))
    try:
        rows.extend(reader)
    except csv.Error:
        return rows, start + reader.line_num, False  # extend keeps what came before the error
    return rows, start + reader.line_num, True


def _number_lines(rows: list[list[str]], first_line: int, line_count: int) -> Sequence[int]:
    """The last item is where the next row would begin."""
    if len(rows) == line_count:
        return range(first_line, first_line + line_count + 1)
    return list(accumulate(map(_count_lines, rows), initial=first_line))


def _count_lines(row: list[str]) -> int:
    text = ",".join(row)
    return 1 + text.count("\n") + text.count("\r") - text.count("\r\n")


def _guess_cells(line: str, dialect: Dialect) -> list[str]:
    try:
        return next(csv.reader([line], **reader_options(dialect.delimiter, dialect.quote)), [])
    except csv.Error:
        return [line]
