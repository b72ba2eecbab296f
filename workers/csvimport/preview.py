"""Shows what an import would do; reads only what a web request can afford."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO

from django.db.models import DateField, Field

from workers.csvimport.cells.dates import guess_dates
from workers.csvimport.cells.numbers import guess_decimal
from workers.csvimport.column_guess import Synonyms, guess_columns, make_name_counter
from workers.csvimport.header import match_header, match_names, parse_names, select_columns
from workers.csvimport.reading.dialect import Dialect, Layout, guess_layout
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.inspection import HEAD_CHARACTERS
from workers.csvimport.reading.records import RecordPage
from workers.csvimport.reading.sample import read_first_records, read_head
from workers.csvimport.reading.table_start import MAX_TOP_RECORDS, TableStart, TopRecord, find_rows
from workers.csvimport.rejected_rows import Rejection
from workers.csvimport.target_table import TargetTable
from workers.csvimport.validate import RowValidator

NO_HEADER = "none"  # a choice beside the lines that may be the header


@dataclass(frozen=True)
class Preview:
    """columns: field name -> index of its column. doubts: fields of the dialect that are uncertain.

    top: the records among which the owner may choose the header.

    missing: required fields without a column; with any, no row is checked.
    is_exact: an import finds the same columns by the names alone.
    """

    names: list[str]
    columns: dict[str, int]
    rows: list[list[str]]
    dialect: Dialect
    start: TableStart
    top: list[TopRecord]
    doubts: frozenset[str]
    missing: list[Field]
    rejections: list[Rejection]
    record_count: int
    is_exact: bool


def make_preview(
    source: IO[bytes],
    table: TargetTable,
    *,
    synonyms: Synonyms,
    choices: Mapping[str, str],
    columns: dict[str, int] | None = None,
) -> Preview:
    """Raises CsvUnreadable.

    choices: Dialect's fields, and "start": the header's line, or NO_HEADER; "" or absent for a guess.
    columns: as the owner chose them; None: guess them.
    """
    choices = {name: choice for name, choice in choices.items() if choice}
    chosen_start = choices.pop("start", "")
    text, encoding, is_certain = read_head(source, choices.get("encoding", ""))
    doubts = set() if is_certain else {"encoding"}
    layout = guess_layout(
        text[:HEAD_CHARACTERS],
        make_name_counter(table, synonyms),
        choices.get("delimiter", ""),
        choices.get("quote", ""),
    )
    dialect = Dialect(**{"delimiter": layout.delimiter, "quote": layout.quote} | choices | {"encoding": encoding})
    start, top = _choose_start(layout, chosen_start), layout.records[:MAX_TOP_RECORDS]
    cells, page = read_first_records(text, dialect, start)
    names, _ = parse_names(cells)
    guessed = guess_columns(names, page.rows, table, synonyms)
    positions = select_columns(guessed if columns is None else columns, len(names), table)
    for name, (value, is_certain) in _guess_formats(page, positions).items():
        if name not in choices:
            dialect = replace(dialect, **{name: value})
            doubts |= set() if is_certain else {name}
    missing = [field for field in table.importable if table.requires(field) and field not in positions]
    own_columns = {field.name: index for field, index in positions.items()}
    return Preview(
        names=names,
        columns=own_columns,
        rows=page.rows,
        dialect=dialect,
        start=start,
        top=top,
        doubts=frozenset(doubts),
        missing=missing,
        rejections=[] if missing else _find_rejections(cells, page, table, dialect, own_columns),
        record_count=len(page.rows) + len(page.broken),
        is_exact=not missing and _is_exact(names, table, guessed),
    )


def _choose_start(layout: Layout, chosen: str) -> TableStart:
    """Ignores a line in which no record begins."""
    if chosen == NO_HEADER:
        return find_rows(layout.records)
    lines = [line for line, _ in layout.records[:MAX_TOP_RECORDS] if str(line) == chosen]
    return TableStart(lines[0]) if lines else layout.start


def _guess_formats(page: RecordPage, positions: dict[Field, int]) -> dict[str, tuple[str, bool]]:
    numbers, dates = list[str](), list[str]()
    for field, index in positions.items():
        cells = [row[index] for row in page.rows if index < len(row)]
        if isinstance(field, DateField):
            dates += cells
        elif field.get_internal_type().endswith(("IntegerField", "DecimalField", "FloatField")):
            numbers += cells
    return {"decimal": guess_decimal(numbers), "dates": guess_dates(dates)}


def _find_rejections(
    cells: list[str], page: RecordPage, table: TargetTable, dialect: Dialect, columns: dict[str, int]
) -> list[Rejection]:
    header = match_header(cells, table, columns)
    return RowValidator(header, table, dialect).validate_page(page)[1]


def _is_exact(names: list[str], table: TargetTable, guessed: dict[str, int]) -> bool:
    try:
        exact = match_names(names, table)
    except CsvUnreadable:
        return False
    return {field.name: index for field, index in exact.items()} == guessed
