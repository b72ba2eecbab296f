"""Reads the rows of a report as chunks of CSV, from a table or from a CSV file."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.db import connection, models
from django.db.models import Field

from workers.csvimport.column_guess import make_name_counter
from workers.csvimport.header import match_header
from workers.csvimport.reading.dialect import Dialect, dialect_from_arguments
from workers.csvimport.reading.inspection import inspect_file
from workers.csvimport.reading.records import read_header, read_pages
from workers.csvimport.reading.table_start import TableStart, start_from_arguments
from workers.csvimport.target_table import TargetTable
from workers.csvimport.validate import RowValidator
from workers.postgres_copy import copy_out

CHUNK_BYTES = 4_000_000
COLUMN_KINDS: dict[type[Field], str] = {
    **dict.fromkeys([models.IntegerField, models.BigIntegerField, models.SmallIntegerField], "whole"),
    **dict.fromkeys([models.PositiveIntegerField, models.PositiveBigIntegerField], "whole"),
    models.PositiveSmallIntegerField: "whole",
    models.DecimalField: "decimal",
    models.FloatField: "float",
    models.DateField: "day",
    models.BooleanField: "truth",
}
VALUE_BYTES = {"text": 16, "whole": 8, "decimal": 16, "float": 8, "day": 4, "truth": 1}  # in polars
Chunk = tuple[bytes, int]


@dataclass(frozen=True)
class RowSource:
    """count: an estimate for a file. chunks: (CSV, number of rows), to be read once."""

    fields: list[Field]
    count: int
    text_bytes: int
    key: list[str]
    chunks: Generator[Chunk]

    @property
    def memory_bytes(self) -> int:
        return self.text_bytes + self.count * sum(VALUE_BYTES[column_kind(field)] for field in self.fields)


def column_kind(field: Field) -> str:
    return COLUMN_KINDS.get(type(field), "text")


@contextmanager
def open_rows(
    table: TargetTable, source: Path | None, arguments: dict[str, Any], report: Callable[[float, float, str], None]
) -> Iterator[RowSource]:
    """arguments: of the job that imported the file."""
    if source is None:
        yield rows_from_table(table)
    else:
        with source.open("rb") as file:
            on_progress = partial(report, 0, 0, "looking through the file")
            dialect, start = dialect_from_arguments(arguments), start_from_arguments(arguments)
            yield rows_from_file(file, table, on_progress, dialect, arguments.get("columns"), start)


def rows_from_table(table: TargetTable) -> RowSource:
    """Counts the rows, because statistics lag behind an import by minutes."""
    where = " AND ".join(f"{_quoted(column)} = %s" for column in table.fixed) or "true"
    rows = f"FROM {_quoted(table.model._meta.db_table)} WHERE {where}"
    texts = [
        f"coalesce(octet_length({_as_text(field)}), 0)" for field in table.importable if column_kind(field) == "text"
    ]
    columns, fixed = ", ".join(map(_as_text, table.importable)), list(table.fixed.values())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), coalesce(sum({' + '.join(texts) or '0'}), 0) {rows}", fixed)
        count, text_bytes = cursor.fetchone()
    lines = copy_out(f"COPY (SELECT {columns} {rows}) TO STDOUT (FORMAT csv)", fixed)
    return RowSource(table.importable, count, int(text_bytes), [], _in_chunks(lines))


def rows_from_file(
    source: IO[bytes],
    table: TargetTable,
    on_progress: Callable[[], None],
    dialect: Dialect | None = None,
    columns: dict[str, int] | None = None,
    start: TableStart | None = None,
) -> RowSource:
    """Reads only the valid rows. Raises CsvUnreadable.

    source: seekable; stays open. on_progress: called while the file is inspected; may raise.
    """
    file_format = inspect_file(source, on_progress, dialect, start, make_name_counter(table, {}))
    cells, first_line = read_header(source, file_format, file_format.start)
    header = match_header(cells, table, columns)
    pages = read_pages(source, file_format, first_line=first_line)
    validator = RowValidator(header, table, file_format)

    def lines() -> Generator[bytes]:
        with closing(pages):
            for page in pages:
                records, _ = validator.validate_page(page)
                rows = zip(*records.columns, strict=True)
                for row in dict(zip(validator.keys_of(records), rows, strict=True)).values():
                    yield csv_line(row)

    key = [field.name for field in table.key if field in header.positions]
    return RowSource(list(header.positions), file_format.records, source.seek(0, 2), key, _in_chunks(lines()))


def _in_chunks(lines: Generator[bytes]) -> Generator[Chunk]:
    with closing(lines):
        chunk: list[bytes] = []
        size = 0
        for line in lines:
            chunk.append(line)
            size += len(line)
            if size > CHUNK_BYTES:
                yield b"".join(chunk), len(chunk)
                chunk, size = [], 0
        if chunk:
            yield b"".join(chunk), len(chunk)


def csv_line(row: Iterable[Any]) -> bytes:
    """As PostgreSQL writes it: an empty text has quotes, NULL has none."""
    return (",".join(map(_csv_cell, row)) + "\n").encode()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"{}"'.format(text.replace('"', '""'))


def _as_text(field: Field) -> str:
    return f"{_quoted(str(field.column))}::text"


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))
