"""Rows into a table, as fast as COPY while all of them are new, and one by one where the database itself refuses some.

Runs on Django's connection, inside the caller's transaction; the primary key is the database's to make. A column that
the file does not have keeps its value in rows that exist, and gets its field's default in new ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import NOT_PROVIDED, Field

from workers.copying import copy_lines
from workers.highmem.csv_checking import Chunk
from workers.highmem.csv_header import Table
from workers.highmem.csv_refusals import words_of
from workers.highmem.rejects import Reject

STAGING = "csv_staging"
# A crash of the server may cost the last commits, always with their checkpoints; and a constraint that would speak at
# the commit speaks while the row can still be told.
PREPARE = "SET LOCAL synchronous_commit = off; SET CONSTRAINTS ALL IMMEDIATE"


@dataclass
class Written:
    """What became of a chunk's good records. The rest of them were there already."""

    created: int = 0
    updated: int = 0
    refused: list[Reject] = field(default_factory=list)


class Upsert:
    """The statements for one table and the fields that a file has, in the order of its rows' values.

    others: for each column that the file does not set, the values that its new rows get; they come before the file's.
    """

    def __init__(self, table: Table, fields: list[Field]) -> None:
        self.model = table.model
        others = _values_of_other_fields(table, fields)
        self.others = list(others.values())
        name, columns = _quoted(table.model._meta.db_table), _listed([*others, *fields])
        self.only_new = True
        self.copy = f"COPY {name} ({columns}) FROM STDIN"
        self.create = f"CREATE TEMPORARY TABLE {STAGING} AS SELECT {columns} FROM {name} WITH NO DATA"  # noqa: S608
        self.stage = f"COPY {STAGING} ({columns}) FROM STDIN"
        self.merge = f"""
            WITH written AS (
                INSERT INTO {name} AS kept ({columns}) SELECT {columns} FROM {STAGING}
                ON CONFLICT ({_listed(table.key)}) DO {_update(fields, list(others), table.key)}
                RETURNING xmax = 0 AS is_new
            )
            SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
        """  # noqa: S608 - the model's own names, quoted
        self.drop = f"DROP TABLE {STAGING}"  # and not ON COMMIT DROP: the caller may have a transaction around many

    def write(self, chunk: Chunk) -> Written:
        """Of several records with one key the last is written. A row that breaks the table's rules is refused alone."""
        with connection.cursor() as cursor:
            cursor.execute(PREPARE)
        written = Written()
        rows = self._write(chunk, 0, len(chunk.rows), written)
        self.only_new = written.created == rows
        return written

    def _write(self, chunk: Chunk, begin: int, end: int, written: Written) -> int:
        """How many rows the records from begin to end were; halved until those that are refused stand alone."""
        rows = list(dict(zip(chunk.keys[begin:end], chunk.rows[begin:end], strict=True)).values())
        if not rows:
            return 0
        try:
            with transaction.atomic():
                created, updated = self._insert(rows) or self._merge(rows)
        except (IntegrityError, DataError) as error:
            if end - begin > 1:
                middle = (begin + end) // 2
                return self._write(chunk, begin, middle, written) + self._write(chunk, middle, end, written)
            reason = words_of(error, self.model)
            written.refused.append(Reject(chunk.lines[begin], reason, chunk.cells[begin]))
            return 0
        written.created += created
        written.updated += updated
        return len(rows)

    def _insert(self, rows: list[str]) -> tuple[int, int] | None:
        """Straight into the table, which is half the work. None once one of the rows is there already."""
        if self.only_new:
            try:
                with transaction.atomic():
                    copy_lines(self.copy, rows)
                return len(rows), 0
            except IntegrityError:
                self.only_new = False
        return None

    def _merge(self, rows: list[str]) -> tuple[int, int]:
        with connection.cursor() as cursor:
            cursor.execute(self.create)
            copy_lines(self.stage, rows)
            cursor.execute(self.merge)
            created, updated = cursor.fetchone()
            cursor.execute(self.drop)
        return created, updated


def _values_of_other_fields(table: Table, fields: list[Field]) -> dict[Field, Iterator[Any]]:
    """What new rows hold in the columns that their file does not set: the fixed value, the default, the time."""
    blank = table.model(**table.fixed)
    return {
        field: _values_of(field, blank, table.fixed)
        for field in table.model._meta.concrete_fields
        if not (field in fields or field.primary_key or field.generated or field.db_default is not NOT_PROVIDED)
    }


def _values_of(field: Field, blank: Any, fixed: dict[str, Any]) -> Iterator[Any]:
    """A default that is called, such as uuid4, is called for each row."""

    def prepared(value: Any) -> Any:
        return field.get_db_prep_save(value, connection)

    if field.has_default() and callable(field.default) and field.attname not in fixed:
        return map(prepared, iter(field.get_default, object()))
    return repeat(prepared(field.pre_save(blank, add=True)))


def _update(fields: list[Field], others: list[Field], key: list[Field]) -> str:
    """Equal rows are not written again: no new row version, no work for the indexes and for VACUUM."""
    compared = [_column(field) for field in fields if field not in key]
    if not compared:
        return "NOTHING"
    written = compared + [_column(field) for field in others if getattr(field, "auto_now", False)]
    sets = ", ".join(f"{column} = excluded.{column}" for column in written)
    old, new = (", ".join(f"{row}.{column}" for column in compared) for row in ("kept", "excluded"))
    return f"UPDATE SET {sets} WHERE ({old}) IS DISTINCT FROM ({new})"


def _listed(fields: list[Field]) -> str:
    return ", ".join(_column(field) for field in fields)


def _column(field: Field) -> str:
    return _quoted(str(field.column))


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))
