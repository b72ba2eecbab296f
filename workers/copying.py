"""Rows into PostgreSQL by COPY, with the errors that any other query of Django's raises.

Django hands out psycopg's `cursor.copy` unwrapped: a restarted database would be an AdminShutdown that nobody waits
for, where everything else sees OperationalError (an interruption: the job is taken up again).
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection


def copy_rows(statement: str, rows: Iterable[tuple[Any, ...] | list[Any]]) -> None:
    """Runs `COPY ... FROM STDIN` with the rows, in the caller's transaction. Raises django.db's errors."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
