"""COPY raises the errors of Django's other queries, so that a restarted database does not fail a job."""

from collections.abc import Iterator

import pytest
from django.db import DataError, OperationalError, connection

from workers.postgres_copy import copy_rows

pytestmark = pytest.mark.django_db(transaction=True)
COPY = "COPY auth_group (name) FROM STDIN"


def test_a_connection_that_is_cut_is_an_operational_error():
    def rows() -> Iterator[tuple[str]]:
        with connection.copy().cursor() as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
            other.db.close()
        for number in range(1_000_000):
            yield (f"number {number}",)

    connection.ensure_connection()
    with pytest.raises(OperationalError):
        copy_rows(COPY, rows())
    connection.close()


def test_a_cell_that_does_not_fit_is_a_data_error():
    with pytest.raises(DataError):
        copy_rows(COPY, [("x" * 151,)])


def test_an_error_of_the_rows_iterator_keeps_its_type():
    def rows() -> Iterator[tuple[str]]:
        yield ("first",)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        copy_rows(COPY, rows())
