"""A CSV file as pages of records, whatever program wrote it, in memory that does not grow with the file.

`examine` passes once over the bytes: encoding, delimiter, about how many records. `read_pages` then cuts the file into
records, and keeps the physical line where each begins. A record whose quotes do not match costs one line: what the
opened quote swallowed is read again.
"""

import codecs
import csv
import io
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import BinaryIO, NamedTuple

BLOCK = 1 << 20  # bytes
DELIMITERS = ",;\t|"
MAX_CHARACTERS = 1_000_000  # of a line, and of a record; csv itself stops at 131,072 for a cell
PAGE_LINES = 10_000  # about 0.1 s of an import
PAGE_CHARACTERS = 4_000_000
MISMATCHED = (
    "the quotes do not match (a quote inside a quoted cell is written twice), "
    f"or a cell is longer than {csv.field_size_limit():,} characters"
)


class Unreadable(Exception):
    """No row can be read. sentence: for people, what happened and what to do next; detail: for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


@dataclass(frozen=True)
class Shape:
    """What must be known to read a file. encoding: a Python codec; records: about how many, the header left out."""

    encoding: str
    delimiter: str
    records: int


class Record(NamedTuple):
    """line: where it begins, counted from 1. cells: as they stand there."""

    line: int
    cells: list[str]


class Page(NamedTuple):
    """Some consecutive records, blank ones left out. broken: those whose cells can only be guessed.

    next_line: where the record after the page begins.
    """

    records: list[Record]
    broken: list[Record]
    next_line: int


def examine(source: BinaryIO, tick: Callable[[], None] = lambda: None) -> Shape:
    """The shape of the file, or Unreadable. tick is called for every block and may raise."""
    source.seek(0)
    detail = ""
    for encoding in _possible_encodings(source.read(4)):
        try:
            records = _count_records(source, encoding, tick)
        except UnicodeDecodeError as error:
            detail = str(error)
        else:
            return Shape(encoding, _find_delimiter(source, encoding), records)
    raise Unreadable(
        'This is not the text of a CSV file. In your spreadsheet, choose "Save as" and "CSV UTF-8", and upload that.',
        detail,
    )


def read_pages(
    source: BinaryIO, shape: Shape, first_line: int = 1, page_lines: int = PAGE_LINES
) -> Generator[Page, None, None]:
    """The records from a line on which one begins. Close the generator before you close the source."""
    with _opened(source, shape.encoding) as text:
        next(islice(text, first_line - 1, first_line - 1), None)
        line, unfinished = first_line, list[str]()
        for lines, is_last in _with_last(_cut(text, page_lines)):
            page, unfinished = _read_page(unfinished + lines, line, shape.delimiter, is_last=is_last)
            line = page.next_line
            yield page


def _read_page(lines: list[str], line: int, delimiter: str, *, is_last: bool) -> tuple[Page, list[str]]:
    """The records of these lines, and the lines of a last one that goes on beyond them."""
    records: list[Record] = []
    broken: list[Record] = []
    while lines:
        rows: list[list[str]] = []
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            rows.extend(reader)  # keeps those before the error
        except csv.Error:
            stopped_at_end = reader.line_num == len(lines)
        else:
            ...
    return Page(records, broken, line), lines
