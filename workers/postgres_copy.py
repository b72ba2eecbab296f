"""Rows into PostgreSQL and out of it by COPY, with the errors that any other query of Django's raises.

Django hands out psycopg's `cursor.copy` unwrapped: a restarted database would be an AdminShutdown that nobody waits
for, where everything else sees OperationalError (an interruption: the job is taken up again). See
docs/facts/servers.md#copy-errors.
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
PLAIN = {type(None), int, bool, float, Decimal, date, datetime, uuid.UUID}  # PostgreSQL reads their str()


def copy_rows(statement: str, rows: Iterable[tuple[Any, ...] | list[Any]]) -> None:
    """Runs `COPY ... FROM STDIN` with the rows, in the caller's transaction. Raises django.db's errors."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def copy_lines(statement: str, lines: bytes) -> None:
    """The same with rows that `lines_of` has made: one call for all of them, which waits without Python's lock."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.write(lines)


def lines_of(columns: Sequence[Sequence[Any]]) -> list[str]:
    """The rows of these columns, all of one length, in COPY's text format; each ends its own line.

    See https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
    """
    *others, last = map(_as_text, columns)
    return list(map("\t".join, zip(*others, [f"{text}\n" for text in last], strict=True)))


def _as_text(values: Sequence[Any]) -> Sequence[str]:
    """A column at a time: whether any cell needs more than str() is asked once for all of them."""
    types = set(map(type, values))
    if types <= PLAIN:
        return [NULL if value is None else str(value) for value in values]
    texts = values if types == {str} else [NULL if value is None else _dump(value) for value in values]
    if not any(map("".join(texts).__contains__, ESCAPES)):
        return texts
    return [NULL if value is None else text.translate(ESCAPE) for value, text in zip(values, texts, strict=True)]


def _dump(value: Any) -> str:
    """As psycopg's own adapters write it: arrays, JSON, ranges, intervals."""
    if isinstance(value, str):
        return value
    return bytes(Transformer().get_dumper(value, PyFormat.TEXT).dump(value) or b"").decode()


def copied_rows(statement: str, parameters: Iterable[Any]) -> Generator[bytes]:
    """Runs `COPY ... TO STDOUT` and gives its rows as the server sends them: one snapshot, none kept in memory.

    On a connection of its own, so that its caller can ask the database other things meanwhile. Close the generator.
    """
    with (
        closing(connection.copy()) as own,
        own.cursor() as cursor,
        own.wrap_database_errors,
        # psycopg's own cursor: with DEBUG, Django's takes no parameters here.
        cursor.cursor.copy(statement, list(parameters)) as copy,
    ):
        yield from map(bytes, copy)
