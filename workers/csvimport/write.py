"""Rows into a table, as fast as COPY while all of them are new, and one by one where the database refuses some.

Runs on Django's connection, inside the caller's transaction. What the database makes itself, such as a serial key, is
left to it. A column that the file does not have keeps its value in rows that exist, and gets its field's default in new
ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Field

from workers.csvimport.cells.fields import is_made_by_database
from workers.csvimport.header import Table
from workers.csvimport.refusals import Reasons, write_one_by_one
from workers.csvimport.rejects import Reject
from workers.csvimport.validate import Chunk
from workers.postgres_copy import copy_lines

STAGING, UNTOUCHED = "csv_staging", "csv_untouched"
# A crash of the server may cost the last commits, always with their checkpoints; and a constraint that would speak at
# the commit speaks while the row can still be told.
PREPARE = "SET LOCAL synchronous_commit = off; SET CONSTRAINTS ALL IMMEDIATE"


@dataclass
class Written:
    """What became of a chunk's good records. The rest of them were there already."""

    created: int = 0
    updated: int = 0
    refused: Sequence[Reject] = ()


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
        upsert = f"""
            INSERT INTO {name} AS kept ({columns}) {{source}}
            ON CONFLICT ({_listed(table.key)}) DO {_update(fields, list(others), table.key)}
            RETURNING xmax = 0 AS is_new"""
        self.merge = f"""
            WITH written AS ({upsert.format(source=f"SELECT {columns} FROM {STAGING}")})
            SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"""  # noqa: S608
        staged = ", ".join(f"staged.{_column(field)}" for field in [*others, *fields])
        self.merge_one = upsert.format(source=f"VALUES ({staged})")
        self.drop = f"DROP TABLE {STAGING}"  # and not ON COMMIT DROP: the caller may have a transaction around many

    def write(self, chunk: Chunk) -> Written:
        """Of several records with one key the last is written. A row that breaks the table's rules is refused alone."""
        with connection.cursor() as cursor:
            cursor.execute(f"{PREPARE}; SAVEPOINT {UNTOUCHED}")  # one word for all: the database waits for each
        if not chunk.distinct:
            return Written()
        if self.only_new and self._insert(chunk.latest):
            return Written(created=chunk.distinct)
        try:
            with transaction.atomic():
                written = self._merge(chunk.latest)
        except (IntegrityError, DataError):
            written = self._merge_one_by_one(chunk)
        self.only_new = written.created == chunk.distinct
        return written

    def _insert(self, rows: bytes) -> bool:
        """Straight into the table, which is half the work. False, and nothing written, if it refuses one of them."""
        try:
            copy_lines(self.copy, rows)
        except (IntegrityError, DataError):
            with connection.cursor() as cursor:
                cursor.execute(f"ROLLBACK TO SAVEPOINT {UNTOUCHED}")
            return False
        return True

    def _merge(self, rows: bytes) -> Written:
        with connection.cursor() as cursor:
            cursor.execute(self.create)
            copy_lines(self.stage, rows)
            cursor.execute(self.merge)
            created, updated = cursor.fetchone()
            cursor.execute(self.drop)
        return Written(created, updated)

    def _merge_one_by_one(self, chunk: Chunk) -> Written:
        """All of its records in their order, so that one that is refused does not replace one before it."""
        with connection.cursor() as cursor:
            cursor.execute(self.create)
            copy_lines(self.stage, "".join(chunk.rows).encode())
            outcomes = write_one_by_one(STAGING, self.merge_one)
            cursor.execute(self.drop)
        reasons = Reasons(self.model)
        return Written(
            created=sum(outcome.is_new is True and outcome.state is None for outcome in outcomes),
            updated=sum(outcome.is_new is False and outcome.state is None for outcome in outcomes),
            refused=[
                Reject(chunk.lines[place], reasons.of(outcome), chunk.cells[place])
                for place, outcome in enumerate(outcomes)
                if outcome.state
            ],
        )


def _values_of_other_fields(table: Table, fields: list[Field]) -> dict[Field, Iterator[Any]]:
    """What new rows hold in the columns that their file does not set: the fixed value, the default, the time."""
    blank = table.model(**table.fixed)
    return {
        field: _values_of(field, blank, table.fixed)
        for field in table.model._meta.concrete_fields
        if not (field in fields or is_made_by_database(field))
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
