"""Where the rows of a report come from, as frames of CSV: a table, or a CSV file as its import reads it.

Knows the model's fields and nothing else of the site. Before the first row it can be said how large they are.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.db import connection, models
from django.db.models import Field

from workers.csvimport.header import match_header
from workers.csvimport.reading.dialect import Dialect, dialect_from_arguments
from workers.csvimport.reading.inspection import inspect_file
from workers.csvimport.reading.records import read_header, read_pages
from workers.csvimport.target_table import TargetTable
from workers.csvimport.validate import RowValidator
from workers.postgres_copy import copied_rows

FRAME = 4_000_000  # bytes of rows that go on their way at once
KINDS: dict[type[Field], str] = {
    **dict.fromkeys([models.IntegerField, models.BigIntegerField, models.SmallIntegerField], "whole"),
    **dict.fromkeys([models.PositiveIntegerField, models.PositiveBigIntegerField], "whole"),
    models.PositiveSmallIntegerField: "whole",
    models.DecimalField: "decimal",
    models.FloatField: "float",
    models.DateField: "day",
    models.BooleanField: "truth",
}
BYTES = {"text": 16, "whole": 8, "decimal": 16, "float": 8, "day": 4, "truth": 1}  # of a value in polars
Frame = tuple[bytes, int]


@dataclass(frozen=True)
class Rows:
    """fields: in the order of the columns. count: rows, of a file about how many. characters: bytes of all their text.

    key: columns of which the last row with the same values counts. frames: (CSV, how many rows), to be read once.
    """

    fields: list[Field]
    count: int
    characters: int
    key: list[str]
    frames: Generator[Frame]

    @property
    def size(self) -> int:
        """Bytes that they take in memory, before anything is computed."""
        return self.characters + self.count * sum(BYTES[kind_of(field)] for field in self.fields)


def kind_of(field: Field) -> str:
    """What a report makes of a field; of one that it does not know, its text."""
    return KINDS.get(type(field), "text")


@contextmanager
def rows_of(
    table: TargetTable, source: Path | None, told: dict[str, Any], report: Callable[[float, float, str], None]
) -> Iterator[Rows]:
    """The rows of the table; or of a CSV file, which is read as told by the arguments of its import."""
    if source is None:
        yield rows_of_table(table)
    else:
        with source.open("rb") as file:
            tick = partial(report, 0, 0, "looking through the file")
            yield rows_of_file(file, table, tick, dialect_from_arguments(told), told.get("columns"))


def rows_of_table(table: TargetTable) -> Rows:
    """The rows of a model that have the table's fixed values.

    Counted by the server, for its statistics lag behind an import by minutes.
    """
    where = " AND ".join(f"{_quoted(column)} = %s" for column in table.fixed) or "true"
    rows = f"FROM {_quoted(table.model._meta.db_table)} WHERE {where}"
    texts = [f"coalesce(octet_length({_text(field)}), 0)" for field in table.importable if kind_of(field) == "text"]
    columns, fixed = ", ".join(map(_text, table.importable)), list(table.fixed.values())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), coalesce(sum({' + '.join(texts) or '0'}), 0) {rows}", fixed)
        count, characters = cursor.fetchone()
    lines = copied_rows(f"COPY (SELECT {columns} {rows}) TO STDOUT (FORMAT csv)", fixed)
    return Rows(table.importable, count, int(characters), [], _framed(lines))


def rows_of_file(
    source: IO[bytes],
    table: TargetTable,
    tick: Callable[[], None],
    dialect: Dialect | None = None,
    columns: dict[str, int] | None = None,
) -> Rows:
    """The good rows of a CSV file, one for each key, whatever has become of them in the table since.

    source: seekable; left open. tick: called now and then while the file is looked through; may raise. dialect,
    columns: as its import reads it. Raises CsvUnreadable.
    """
    file_format = inspect_file(source, tick, dialect)
    cells, first_line = read_header(source, file_format)
    header = match_header(cells, table, columns)
    pages = read_pages(source, file_format, first_line=first_line)
    validator = RowValidator(header, table, file_format)

    def lines() -> Generator[bytes]:
        with closing(pages):
            for page in pages:
                records, _ = validator.validate_page(page)
                rows = zip(*records.columns, strict=True)
                for row in dict(zip(validator.keys_of(records), rows, strict=True)).values():
                    yield _line(row)

    key = [field.name for field in table.key if field in header.positions]
    return Rows(list(header.positions), file_format.records, source.seek(0, 2), key, _framed(lines()))


def _framed(lines: Generator[bytes]) -> Generator[Frame]:
    with closing(lines):
        frame: list[bytes] = []
        size = 0
        for line in lines:
            frame.append(line)
            size += len(line)
            if size > FRAME:
                yield b"".join(frame), len(frame)
                frame, size = [], 0
        if frame:
            yield b"".join(frame), len(frame)


def _line(row: Iterable[Any]) -> bytes:
    """As PostgreSQL writes it: an empty text in quotes, what is missing without. Python's csv can from 3.12 on."""
    return (",".join(map(_cell, row)) + "\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"{}"'.format(text.replace('"', '""'))


def _text(field: Field) -> str:
    return f"{_quoted(str(field.column))}::text"


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))
