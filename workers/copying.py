"""Rows into PostgreSQL and out of it by COPY, with the errors that any other query of Django's raises.

Django hands out psycopg's `cursor.copy` unwrapped: a restarted database would be an AdminShutdown that nobody waits
for, where everything else sees OperationalError (an interruption: the job is taken up again).
"""

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

from django.db import connection


def copy_rows(statement: str, rows: Iterable[tuple[Any, ...] | list[Any]]) -> None:
    """Runs `COPY ... FROM STDIN` with the rows, in the caller's transaction. Raises django.db's errors."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


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
