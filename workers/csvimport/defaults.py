"""What new rows hold in columns that their file does not set."""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from django.db import connection
from django.db.models import Field

from workers.csvimport.cells.fields import is_set_by_database
from workers.csvimport.target_table import TargetTable


def iterate_defaults(table: TargetTable, file_fields: list[Field]) -> dict[Field, Iterator[Any]]:
    """A callable default is called for each row."""
    blank = table.model(**table.fixed)
    return {
        field: _iterate_values(field, blank, is_fixed=field.attname in table.fixed)
        for field in table.model._meta.concrete_fields
        if not (field in file_fields or is_set_by_database(field))
    }


def _iterate_values(field: Field, blank: Any, *, is_fixed: bool) -> Iterator[Any]:
    def prepare(value: Any) -> Any:
        return field.get_db_prep_save(value, connection)

    if field.has_default() and callable(field.default) and not is_fixed:
        return map(prepare, iter(field.get_default, object()))
    return repeat(prepare(field.pre_save(blank, add=True)))
