"""Rows into a table: COPY into a temporary table, then one INSERT ... ON CONFLICT that leaves equal rows alone.

Runs on Django's connection, inside the caller's transaction; the primary key is the database's to make. A column that
the file does not have keeps its value in rows that exist, and gets its field's default in new ones.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import NOT_PROVIDED, Field

from workers.copying import copy_rows
from workers.highmem.csv_header import Table

STAGING = "csv_staging"


class Upsert:
    """The statements for one table and the fields that a file has, in the order of its rows' values."""

    def __init__(self, table: Table, fields: list[Field]) -> None:
        others = _values_of_other_fields(table, fields)
        self.constants = list(others.values())
        name, staged = _quoted(table.model._meta.db_table), _listed(fields)
        self.create = f"CREATE TEMPORARY TABLE {STAGING} AS SELECT {staged} FROM {name} WITH NO DATA"  # noqa: S608
        self.copy = f"COPY {STAGING} ({staged}) FROM STDIN"
        self.insert = f"""
            WITH written AS (
                INSERT INTO {name} AS kept ({_listed([*others, *fields])})
                SELECT {"%s, " * len(others)} {staged} FROM {STAGING}
                ON CONFLICT ({_listed(table.key)}) DO {_update(fields, list(others), table.key)}
                RETURNING xmax = 0 AS is_new
            )
            SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
        """  # noqa: S608 - the model's own names, quoted
        self.drop = f"DROP TABLE {STAGING}"  # and not ON COMMIT DROP: the caller may have a transaction around many

    def write(self, rows: Iterable[tuple[Any, ...]]) -> tuple[int, int]:
        """How many rows were created and how many updated. No key may come twice."""
        with connection.cursor() as cursor:
            cursor.execute(self.create)
            copy_rows(self.copy, rows)
            cursor.execute(self.insert, self.constants)
            created, updated = cursor.fetchone()
            cursor.execute(self.drop)
        return created, updated


def _values_of_other_fields(table: Table, fields: list[Field]) -> dict[Field, Any]:
    """What a new row holds in the columns that its file does not set: the fixed value, the default, the time."""
    blank = table.model(**table.fixed)
    return {
        field: field.get_db_prep_save(field.pre_save(blank, add=True), connection)
        for field in table.model._meta.concrete_fields
        if not (field in fields or field.primary_key or field.generated or field.db_default is not NOT_PROVIDED)
    }


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
