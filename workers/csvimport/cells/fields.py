"""Which fields a file may set, and how a field cleans its own cells.

Files and paths are not imported: a cell could name somebody else's file.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import NOT_PROVIDED, Field
from django.utils import timezone

from workers.csvimport.cells.errors import CellError, quote_short

Parser = Callable[[list[str]], list[Any]]
NOT_IMPORTED = (models.FileField, models.FilePathField, models.BinaryField)
# Lists in lists. PostgreSQL's stack ends at some thousands, with an error that looks like a fault of the server.
MAX_JSON_DEPTH = 100
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it, and so do cells of arrays


def can_be_imported(field: Field) -> bool:
    return field.editable and not (field.primary_key or field.is_relation or isinstance(field, NOT_IMPORTED))


def is_set_by_database(field: Field) -> bool:
    return isinstance(field, models.AutoField) or field.generated or field.db_default is not NOT_PROVIDED


def needs_value(field: Field, blank: models.Model) -> bool:
    """blank: a new instance."""
    if field.null or field.has_default() or is_set_by_database(field):
        return False
    return field.pre_save(blank, add=True) is None or (isinstance(field, NOT_IMPORTED) and not field.blank)


def make_field_parser(field: Field) -> Parser:
    """An error that the field's clean() raises becomes CellError."""
    read = parse_json if isinstance(field, models.JSONField) else str

    def parse(cells: list[str]) -> list[Any]:
        try:
            if any(map(NUL.search, cells)):
                raise CellError("has a NUL character in it, which no text may have")
            return [prepare_value(field, field.clean(read(cell), None)) for cell in cells]
        except ValidationError as error:
            raise CellError(format_validation_error(error)) from None
        except (ValueError, TypeError, LookupError, ArithmeticError):
            raise CellError(f"{quote_short(cells[0])} is nothing that this column can hold") from None

    return parse


def prepare_value(field: Field, value: Any) -> Any:
    """For COPY. A time without an offset is in the site's time zone."""
    if isinstance(field, models.JSONField) and value is not None:
        return json.dumps(value, cls=field.encoder)
    if isinstance(value, datetime) and settings.USE_TZ and timezone.is_naive(value):
        value = timezone.make_aware(value)
    return field.get_db_prep_save(value, connection)


def parse_json(cell: str) -> Any:
    """Raises CellError unless the cell is JSON that PostgreSQL can store."""
    try:
        value = json.loads(cell, parse_constant=_parse_finite, parse_float=_parse_finite)
        json.dumps(value, ensure_ascii=False).encode()  # half a pair of surrogates is no character
    except (ValueError, RecursionError):
        raise CellError(f"{quote_short(cell)} is not JSON") from None
    if _is_too_deep(value):
        raise CellError(f"has lists or objects in each other, more than {MAX_JSON_DEPTH} deep")
    return value


def format_validation_error(error: ValidationError) -> str:
    return " ".join(error.messages).rstrip(".")


def _parse_finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [inner for each in level if isinstance(each, (list, dict)) for inner in _children(each)]
    return bool(level)


def _children(value: list[Any] | dict[str, Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
