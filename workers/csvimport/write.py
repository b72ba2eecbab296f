"""Writes rows into a table, inside the caller's transaction.

In existing rows, a column that the file does not have keeps its value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Field

from workers.csvimport.chunks import RowChunk
from workers.csvimport.defaults import iterate_defaults
from workers.csvimport.rejected_rows import Rejection
from workers.csvimport.row_errors import RowErrorMessages, write_one_by_one
from workers.csvimport.target_table import TargetTable
from workers.postgres_copy import copy_lines

STAGING, SAVEPOINT = "csv_staging", "csv_untouched"
# A crash of the server may lose the last commits, always with their checkpoints. Deferred constraints are checked at
# once: at the commit, nobody could say which row breaks them.
PREPARE = "SET LOCAL synchronous_commit = off; SET CONSTRAINTS ALL IMMEDIATE"


@dataclass
class WriteResult:
    """The chunk's other good records count as unchanged."""

    created: int = 0
    updated: int = 0
    rejections: Sequence[Rejection] = ()


class TableWriter:
    """file_fields: in the order of the rows' values."""

    def __init__(self, table: TargetTable, file_fields: list[Field]) -> None:
        self.model = table.model
        self.are_rows_new = True  # those of the chunk before
        defaults = iterate_defaults(table, file_fields)
        self.default_columns = list(defaults.values())
        self._make_statements(table, file_fields, list(defaults))

    def _make_statements(self, table: TargetTable, file_fields: list[Field], default_fields: list[Field]) -> None:
        fields = [*default_fields, *file_fields]
        name, columns = _quote(table.model._meta.db_table), _list_columns(fields)
        self.insert = f"COPY {name} ({columns}) FROM STDIN"
        self.create_staging = f"CREATE TEMPORARY TABLE {STAGING} AS SELECT {columns} FROM {name} WITH NO DATA"  # noqa: S608
        self.stage = f"COPY {STAGING} ({columns}) FROM STDIN"
        # Not ON COMMIT DROP: the caller may have one transaction around many chunks.
        self.drop_staging = f"DROP TABLE {STAGING}"
        upsert = f"""
            INSERT INTO {name} AS kept ({columns}) {{source}}
            ON CONFLICT ({_list_columns(table.key)}) DO {_make_update(file_fields, default_fields, table.key)}
            RETURNING xmax = 0 AS is_new"""
        self.merge = f"""
            WITH written AS ({upsert.format(source=f"SELECT {columns} FROM {STAGING}")})
            SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"""  # noqa: S608
        staged = ", ".join(f"staged.{_column(field)}" for field in fields)
        self.merge_one = upsert.format(source=f"VALUES ({staged})")

    def write(self, chunk: RowChunk) -> WriteResult:
        """Of several records with one key, writes the last. Rejects only the rows that break the table's rules."""
        with connection.cursor() as cursor:
            cursor.execute(f"{PREPARE}; SAVEPOINT {SAVEPOINT}")  # one round trip: the database waits for each
        if not chunk.last_row_count:
            return WriteResult()
        if self.are_rows_new and self._insert(chunk.last_rows):
            return WriteResult(created=chunk.last_row_count)
        try:
            with transaction.atomic():
                result = self._merge(chunk.last_rows)
        except (IntegrityError, DataError):
            result = self._merge_one_by_one(chunk)
        self.are_rows_new = result.created == chunk.last_row_count
        return result

    def _insert(self, rows: bytes) -> bool:
        """False, and nothing written, if the table refuses one row."""
        try:
            copy_lines(self.insert, rows)
        except (IntegrityError, DataError):
            with connection.cursor() as cursor:
                cursor.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            return False
        return True

    def _merge(self, rows: bytes) -> WriteResult:
        with connection.cursor() as cursor:
            cursor.execute(self.create_staging)
            copy_lines(self.stage, rows)
            cursor.execute(self.merge)
            created, updated = cursor.fetchone()
            cursor.execute(self.drop_staging)
        return WriteResult(created, updated)

    def _merge_one_by_one(self, chunk: RowChunk) -> WriteResult:
        """In their order, so that a refused record does not replace the one before it."""
        with connection.cursor() as cursor:
            cursor.execute(self.create_staging)
            copy_lines(self.stage, "".join(chunk.copy_lines).encode())
            rows = write_one_by_one(STAGING, self.merge_one)
            cursor.execute(self.drop_staging)
        messages = RowErrorMessages(self.model)
        return WriteResult(
            created=sum(row.is_new is True and row.sqlstate is None for row in rows),
            updated=sum(row.is_new is False and row.sqlstate is None for row in rows),
            rejections=[
                Rejection(chunk.lines[index], messages.message_for(row), chunk.cells[index])
                for index, row in enumerate(rows)
                if row.sqlstate
            ],
        )


def _make_update(file_fields: list[Field], default_fields: list[Field], key: list[Field]) -> str:
    compared = [_column(field) for field in file_fields if field not in key]
    if not compared:
        return "NOTHING"
    written = compared + [_column(field) for field in default_fields if getattr(field, "auto_now", False)]
    assignments = ", ".join(f"{column} = excluded.{column}" for column in written)
    old, new = (", ".join(f"{row}.{column}" for column in compared) for row in ("kept", "excluded"))
    return f"UPDATE SET {assignments} WHERE ({old}) IS DISTINCT FROM ({new})"


def _list_columns(fields: list[Field]) -> str:
    return ", ".join(map(_column, fields))


def _column(field: Field) -> str:
    return _quote(str(field.column))


def _quote(name: str) -> str:
    return str(connection.ops.quote_name(name))
