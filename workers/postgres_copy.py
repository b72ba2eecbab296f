"""Writes and reads rows by PostgreSQL's COPY.

It raises Django's errors: OperationalError puts a job back into its queue (docs/facts/servers.md#copy-errors).
"""

import uuid
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from psycopg.adapt import PyFormat, Transformer

NULL = r"\N"
ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
ESCAPE = str.maketrans(ESCAPES)
STR_TYPES = {type(None), int, bool, float, Decimal, date, datetime, uuid.UUID}  # PostgreSQL reads their str()


def copy_rows(statement: str, rows: Iterable[tuple[Any, ...] | list[Any]]) -> None:
    """In the caller's transaction. Raises django.db's errors."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def copy_lines(statement: str, lines: bytes) -> None:
    """lines: the joined rows of format_copy_lines, sent in one call that waits without the GIL."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.write(lines)


def format_copy_lines(columns: Sequence[Sequence[Any]]) -> list[str]:
    """Rows in COPY's text format, each with its newline, from columns of one length.

    https://www.postgresql.org/docs/current/sql-copy.html
    """
    *others, last = map(_as_text, columns)
    return list(map("\t".join, zip(*others, [f"{text}\n" for text in last], strict=True)))


def _as_text(values: Sequence[Any]) -> Sequence[str]:
    types = set(map(type, values))
    if types <= STR_TYPES:
        return [NULL if value is None else str(value) for value in values]
    texts = values if types == {str} else [NULL if value is None else _dump(value) for value in values]
    if not any(map("".join(texts).__contains__, ESCAPES)):
        return texts
    return [NULL if value is None else text.translate(ESCAPE) for value, text in zip(values, texts, strict=True)]


def _dump(value: Any) -> str:
    if isinstance(value, str):
        return value
    return bytes(Transformer().get_dumper(value, PyFormat.TEXT).dump(value) or b"").decode()


def copy_out(statement: str, parameters: Iterable[Any]) -> Generator[bytes]:
    """The rows are one snapshot. The caller may query meanwhile, and must close the generator."""
    with (
        closing(connection.copy()) as copy_connection,
        copy_connection.cursor() as cursor,
        copy_connection.wrap_database_errors,
        # psycopg's cursor: with DEBUG, Django's takes no parameters here.
        cursor.cursor.copy(statement, list(parameters)) as copy,
    ):
        yield from map(bytes, copy)
