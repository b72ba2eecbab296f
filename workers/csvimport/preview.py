"""A first look at a CSV file: how it is written, which column is which field, and what would be rejected.

Reads the file's beginning and no more, so that a web request can afford it, whatever the file is.
"""

import codecs
import io
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO

from django.db.models import DateField, Field

from workers.csvimport.cells.dates import guess_dates
from workers.csvimport.cells.numbers import guess_decimal
from workers.csvimport.guess import Synonyms, guess_columns
from workers.csvimport.header import Table, match_header, match_names, names_in
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.encoding import ERRORS, guess_encoding
from workers.csvimport.reading.records import (
    MAX_CHARACTERS,
    NO_TEXT,
    TOO_LONG,
    CsvUnreadable,
    Page,
    guess_quoting,
    read_header,
    read_pages,
)
from workers.csvimport.rejects import Reject
from workers.csvimport.validate import Checker

HEAD = 1_500_000  # bytes
LINES = 20_000  # most of them blank, or in quoted cells
LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]+")  # io.StringIO would take four bytes a character
RECORDS = 1000
QUOTED = 1 << 16  # characters that tell the delimiter


@dataclass(frozen=True)
class Preview:
    """names: the header's. columns: field name -> index of its column. rows: the first RECORDS that could be cut.

    dialect: with what was chosen, and guesses for the rest; doubts: its fields of which the file says both or neither.
    missing: fields without a column that every row needs; with any, nothing is checked. rejects: of those records.
    is_exact: the names alone say all, as the import reads them.
    """

    names: list[str]
    columns: dict[str, int]
    rows: list[list[str]]
    dialect: Dialect
    doubts: frozenset[str]
    missing: list[Field]
    rejects: list[Reject]
    records: int
    is_exact: bool


def preview(
    source: IO[bytes],
    table: Table,
    *,
    synonyms: Synonyms,
    choices: Mapping[str, str],
    columns: dict[str, int] | None = None,
) -> Preview:
    """What an import of the file would make of its first RECORDS. Raises CsvUnreadable.

    choices: Dialect's fields as somebody chose them, "" or absent for a guess. columns: chosen too, None for a guess.
    """
    choices = {name: choice for name, choice in choices.items() if choice}
    text, encoding, is_sure = _head(source, choices.get("encoding", ""))
    doubts = set() if is_sure else {"encoding"}
    dialect = replace(guess_quoting(text[:QUOTED]), **choices | {"encoding": encoding})
    cells, page = _first_records(text, dialect)
    names, _ = names_in(cells)
    guessed = guess_columns(names, page.rows, table, synonyms)
    taken = guessed if columns is None else columns
    own = {field: taken[field.name] for field in table.importable if taken.get(field.name, len(names)) < len(names)}
    for name, (value, told) in _guess_values(page, own).items():
        if name not in choices:
            dialect = replace(dialect, **{name: value})
            doubts |= set() if told else {name}
    missing = [field for field in table.importable if table.requires(field) and field not in own]
    header = None if missing else match_header(cells, table, taken)
    return Preview(
        names=names,
        columns={field.name: place for field, place in own.items()},
        rows=page.rows,
        dialect=dialect,
        doubts=frozenset(doubts),
        missing=missing,
        rejects=Checker(header, table, dialect).check(page).rejects if header else [],
        records=len(page.rows) + len(page.broken),
        is_exact=not missing and _is_exact(names, table, guessed),
    )


def _head(source: IO[bytes], encoding: str) -> tuple[str, str, bool]:
    """The beginning as text, whole lines only; the encoding, "" for plain ASCII; whether that is sure."""
    source.seek(0)
    head = source.read(HEAD)
    whole = len(head) < HEAD
    is_sure = True
    if not encoding:
        encoding, is_sure = guess_encoding(head, whole=whole)
    codec = encoding or "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(codec)(ERRORS[codec]).decode(head, final=whole)
    except UnicodeError as error:
        raise CsvUnreadable(NO_TEXT, str(error)) from None
    lines = [line[0] for line in islice(LINE.finditer(text), LINES)]
    uncut = lines if whole or len(lines) == LINES else lines[:-1]
    if not uncut or max(map(len, lines)) > MAX_CHARACTERS:
        raise CsvUnreadable(TOO_LONG)
    return "".join(uncut), encoding, is_sure


def _first_records(text: str, dialect: Dialect) -> tuple[list[str], Page]:
    """The header's cells, and the first RECORDS as one page."""
    source, known = io.BytesIO(text.encode()), replace(dialect, encoding="utf-8-sig")
    cells, next_line = read_header(source, known)
    first = Page([], [], [], next_line)
    with closing(read_pages(source, known, first_line=next_line, page_lines=RECORDS)) as pages:
        for page in pages:
            first.lines.extend(page.lines)
            first.rows.extend(page.rows)
            first.broken.extend(page.broken)
            if len(first.rows) + len(first.broken) >= RECORDS:
                break
    return cells, Page(first.lines[:RECORDS], first.rows[:RECORDS], first.broken[:RECORDS], next_line)


def _guess_values(page: Page, places: dict[Field, int]) -> dict[str, tuple[str, bool]]:
    """How the columns that are taken write numbers and dates."""
    numbers, dates = list[str](), list[str]()
    for field, place in places.items():
        kind = field.get_internal_type()
        cells = (
            dates
            if isinstance(field, DateField)
            else numbers
            if kind.endswith(("IntegerField", "DecimalField", "FloatField"))
            else None
        )
        if cells is not None:
            cells += [row[place] for row in page.rows if place < len(row)]
    return {"decimal": guess_decimal(numbers), "dates": guess_dates(dates)}


def _is_exact(names: list[str], table: Table, guessed: dict[str, int]) -> bool:
    try:
        exact = match_names(names, table)
    except CsvUnreadable:
        return False
    return {field.name: place for field, place in exact.items()} == guessed
