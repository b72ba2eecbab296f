"""A CSV file as pages of records, whatever program wrote it, in memory that does not grow with the file.

`examine` passes over the bytes: encoding, delimiter, about how many records. `read_pages` then cuts the file into
records, and keeps the physical line where each begins. A record whose quotes do not match costs one line: what the
opened quote swallowed is read again.
"""

import codecs
import csv
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import accumulate, compress, dropwhile, islice
from typing import IO, NamedTuple

from workers.csvimport.reading.dialect import Dialect, guess_delimiter, guess_quote, options
from workers.csvimport.reading.encoding import ERRORS, find_encoding
from workers.csvimport.reading.western import has_other_letters

BLOCK = 1 << 20  # bytes
MAX_CHARACTERS = 1_000_000  # of a line, and of a record; csv itself stops at 131,072 for a cell
MAX_COLUMNS = 16_384  # as many as a spreadsheet has
PAGE_LINES = 1_000  # more of them no longer fit the processor's cache, at twice the time a line
PAGE_CHARACTERS = 400_000
EMPTY = "The file is empty. Choose a CSV file with a header line and at least one row."
NO_TEXT = 'This is not the text of a CSV file. In your spreadsheet, choose "Save as" and "CSV UTF-8", and upload that.'
TOO_LONG = f"This is no CSV file: a line is longer than {MAX_CHARACTERS:,} characters."
IN_DOUBT = (
    "This file has letters that may be of another encoding than Windows-1252, so no row of it was read. "
    "Change the mapping, and choose how its letters are to be read."
)
MISMATCHED = (
    "the quotes do not match (a quote inside a quoted cell is written twice), "
    f"or a cell is longer than {csv.field_size_limit():,} characters"
)


PATIENCE = 20 * MAX_CHARACTERS  # read for nothing, behind quotes that do not match


class CsvUnreadable(Exception):
    """No row, or no more rows, can be read. sentence: for people, what happened, what to do; detail: for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail

    def after(self, rows: int) -> "CsvUnreadable":
        """The same in the middle of an import, which has committed so many rows."""
        if not rows:
            return self
        stays = f"What was imported of the first {rows:,} rows stays, and the mended file will not double it."
        return CsvUnreadable(f"{self.sentence} {stays}", self.detail)


@dataclass(frozen=True)
class Shape(Dialect):
    """A dialect whose encoding is known. records: about how many there are, the header left out."""

    records: int = 0


class Page(NamedTuple):
    """Some consecutive records, blank ones left out: rows[i] begins on line lines[i].

    broken: those whose quotes do not match, the cells a guess. next_line: where the record after the page begins.
    """

    lines: list[int]
    rows: list[list[str]]
    broken: list[tuple[int, list[str]]]
    next_line: int


class SkipBudget:
    """How many more characters may be read for nothing: each page of a file renews it by MAX_CHARACTERS.

    A quote that is left open costs 131,072 of them at most, unless each line closes one and opens another.
    """

    left = PATIENCE

    def spend(self, characters: int, line: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise CsvUnreadable(
                f"From line {line:,} on the quotes do not match. Choose other quotes, or mend the file."
            )


def examine(source: IO[bytes], tick: Callable[[], None] = lambda: None, dialect: Dialect | None = None) -> Shape:
    """The shape of the file, or CsvUnreadable. tick is called again and again and may raise.

    dialect: what is known of it; without one, delimiter and quotes are guessed from the first lines. Where the encoding
    is not, and its letters leave it in doubt, the file is CsvUnreadable: somebody has to choose.
    """
    chosen = dialect.encoding if dialect else ""
    encoding = chosen or find_encoding(_blocks(source, tick))
    try:
        with _opened(source, encoding) as text:
            known = dialect or guess_quoting("".join(islice(dropwhile(str.isspace, text), 20)))
        records = _count_records(source, encoding, known.quote[-1], tick, is_sure=bool(chosen))
    except UnicodeError as error:
        raise CsvUnreadable(NO_TEXT, str(error)) from None
    return Shape(**asdict(known) | {"encoding": encoding}, records=records)


def guess_quoting(head: str) -> Dialect:
    """The delimiter and the quotes of a file that begins like this."""
    delimiter = guess_delimiter(head)
    return Dialect(delimiter=delimiter, quote=guess_quote(head, delimiter))


def read_header(source: IO[bytes], shape: Dialect) -> tuple[list[str], int]:
    """The cells of the first record, and the line where the second begins."""
    with closing(read_pages(source, shape)) as pages:
        page = next(pages, None)
    if page is None:
        raise CsvUnreadable(EMPTY)
    first, *others = sorted([*page.lines, *(line for line, _ in page.broken)])
    if first not in page.lines:
        raise CsvUnreadable(f"The header, in line {first}, cannot be read: {MISMATCHED}.")
    if (width := len(page.rows[0])) > MAX_COLUMNS:
        raise CsvUnreadable(
            f"The header has {width:,} columns, and at most {MAX_COLUMNS:,} can be read. Take some out."
        )
    return page.rows[0], others[0] if others else page.next_line


def read_pages(
    source: IO[bytes], shape: Dialect, *, first_line: int = 1, page_lines: int = PAGE_LINES
) -> Generator[Page, None, None]:
    """Every record from first_line on, where one begins. Close the generator before you close the source."""
    with _opened(source, shape.encoding) as text:
        next(islice(text, first_line - 1, first_line - 1), None)
        next_line, lines, patience = first_line, list[str](), SkipBudget()
        for more in _cut(text, first_line, page_lines):
            page, lines = _read_page(lines + more, next_line, shape, patience, at_end=not more)
            patience.left += MAX_CHARACTERS
            next_line = page.next_line
            if page.rows or page.broken:
                yield page


def _cut(text: Iterator[str], first_line: int, page_lines: int) -> Iterator[list[str]]:
    """The lines, a page full at a time; then an empty page. The cuts are the same wherever the reading begins."""
    page: list[str] = []
    characters = 0
    for number, line in enumerate(text, first_line):
        page.append(line)
        characters += len(line)
        if number % page_lines == 0 or characters > PAGE_CHARACTERS:
            yield page
            page, characters = [], 0
    if page:
        yield page
    yield []


def _read_page(
    lines: list[str], line: int, dialect: Dialect, skip_budget: SkipBudget, *, at_end: bool
) -> tuple[Page, list[str]]:
    """The records that begin on these lines, and the lines of a last one that may go on beyond them."""
    page = Page([], [], [], line)
    begin = 0
    while True:
        rows, end, matched = _read_rows(lines, begin, dialect)
        starts = _line_numbers(rows, line + begin, end - begin)
        filled = list(map(any, rows))
        page.rows.extend(compress(rows, filled))
        page.lines.extend(compress(starts, filled))
        begin = starts[-1] - line
        goes_on = end == len(lines) and not at_end and sum(map(len, lines[begin:])) < MAX_CHARACTERS
        if matched or goes_on:
            return page._replace(next_line=line + begin), lines[begin:]
        skip_budget.spend(sum(map(len, lines[begin:end])), line + begin)
        page.broken.append((line + begin, _split_roughly(lines[begin], dialect)))
        begin += 1


def _read_rows(lines: list[str], begin: int, dialect: Dialect) -> tuple[list[list[str]], int, bool]:
    """The records until the first whose quotes do not match (yet), the end of what was read, and whether all did."""
    rows: list[list[str]] = []
    following = map(lines.__getitem__, range(begin, len(lines)))
    reader = csv.reader(following, strict=True, **options(dialect.delimiter, dialect.quote))
    try:
        rows.extend(reader)
    except csv.Error:
        return rows, begin + reader.line_num, False  # extend keeps what came before the error
    return rows, begin + reader.line_num, True


def _line_numbers(rows: list[list[str]], first: int, height: int) -> Sequence[int]:
    """Where each row begins, and where the next one would. height: of all that was read, a broken record included."""
    if len(rows) == height:
        return range(first, first + height + 1)
    return list(accumulate(map(_height, rows), initial=first))


def _height(row: list[str]) -> int:
    """How many lines the row takes."""
    text = ",".join(row)
    return 1 + text.count("\n") + text.count("\r") - text.count("\r\n")


@contextmanager
def _opened(source: IO[bytes], encoding: str) -> Iterator[io.TextIOWrapper]:
    """The source as text from its beginning. It stays open afterwards: it belongs to the caller."""
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, ERRORS[encoding], newline="")
    try:
        yield text
    finally:
        text.detach()


def _blocks(source: IO[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    source.seek(0)
    while block := source.read(BLOCK):
        tick()
        yield block


def _count_records(source: IO[bytes], encoding: str, quote: str, tick: Callable[[], None], *, is_sure: bool) -> int:
    """Line ends outside quotes, the header's left out: near enough for a bar, and 4 times as fast as csv.reader.

    is_sure: somebody has chosen the encoding; otherwise CsvUnreadable at letters that speak against it.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(ERRORS[encoding]), translate=True)
    ends = quoted = since_line_end = 0
    last = ""
    for block in _blocks(source, tick):
        text = decoder.decode(block)
        if encoding == "windows-1252" and not is_sure and has_other_letters(text):
            raise CsvUnreadable(IN_DOUBT)
        ends += sum(part.count("\n") for part in text.split(quote)[quoted::2])
        quoted ^= text.count(quote) & 1
        since_line_end = since_line_end + len(text) if "\n" not in text else len(text) - text.rindex("\n") - 1
        if since_line_end > MAX_CHARACTERS:
            raise CsvUnreadable(TOO_LONG)
        last = text[-1:] or last
    decoder.decode(b"", final=True)
    return max(0, ends - (last == "\n"))


def _split_roughly(line: str, dialect: Dialect) -> list[str]:
    """The cells of a record that cannot be read, as far as they can be told."""
    try:
        return next(csv.reader([line], **options(dialect.delimiter, dialect.quote)), [])
    except csv.Error:
        return [line]
