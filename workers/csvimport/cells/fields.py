"""Fields by their kind: which a file may set, and what becomes of a cell where the field itself has to say it.

Everything that Django's own fields hold comes in, but files, paths and bytes: a cell could name a file that is somebody
else's, and no text says bytes. Relations are another table's to know.
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

from workers.csvimport.cells.errors import CellError, shown

Parser = Callable[[list[str]], list[Any]]
NOT_IMPORTED = (models.FileField, models.FilePathField, models.BinaryField)
DEEPEST = (
    100  # lists in lists; PostgreSQL's stack ends at some thousands, with an error that looks like its own trouble
)
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it; arrays are written as JSON too


def can_be_imported(field: Field) -> bool:
    """Whether a file may set it at all."""
    return field.editable and not (field.primary_key or field.is_relation or isinstance(field, NOT_IMPORTED))


def is_made_by_database(field: Field) -> bool:
    """Whether a row without it gets a value all the same: a number of its own, an expression's value, a default."""
    return isinstance(field, models.AutoField) or field.generated or field.db_default is not NOT_PROVIDED


def must_be_given(field: Field, blank: models.Model) -> bool:
    """Whether a row cannot be written, or only with an empty file, unless somebody says its value. blank: a new row."""
    if field.null or field.has_default() or is_made_by_database(field):
        return False
    return field.pre_save(blank, add=True) is None or (isinstance(field, NOT_IMPORTED) and not field.blank)


def parser_of(field: Field) -> Parser:
    """The field's own word, a cell at a time. What it raises for a cell, of whatever class, rejects that cell's row."""
    read = from_json if isinstance(field, models.JSONField) else str

    def parse(cells: list[str]) -> list[Any]:
        try:
            if any(map(NUL.search, cells)):
                raise CellError("has a NUL character in it, which no text may have")
            return [prepared(field, field.clean(read(cell), None)) for cell in cells]
        except ValidationError as error:
            raise CellError(words_of(error)) from None
        except (ValueError, TypeError, LookupError, ArithmeticError):
            raise CellError(f"{shown(cells[0])} is nothing that this column can hold") from None

    return parse


def prepared(field: Field, value: Any) -> Any:
    """The value for COPY. A moment without an offset is one of the site's time zone, as in Django's forms."""
    if isinstance(field, models.JSONField) and value is not None:
        return json.dumps(value, cls=field.encoder)
    if isinstance(value, datetime) and settings.USE_TZ and timezone.is_naive(value):
        value = timezone.make_aware(value)
    return field.get_db_prep_save(value, connection)


def from_json(cell: str) -> Any:
    """The cell's value. Raises CellError where it is no JSON, or none that PostgreSQL can keep."""
    try:
        value = json.loads(cell, parse_constant=_number, parse_float=_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a pair of surrogates is no character
    except (ValueError, RecursionError):
        raise CellError(f"{shown(cell)} is not JSON") from None
    if _is_too_deep(value):
        raise CellError(f"has lists or objects in each other, more than {DEEPEST} deep")
    return value


def words_of(error: ValidationError) -> str:
    """Django's words as the end of "price: ..."."""
    return " ".join(error.messages).rstrip(".")


def _number(text: str) -> float:
    """Raises ValueError for those that only Python takes for JSON."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for each in level if isinstance(each, (list, dict)) for inner in _inside(each)]
    return bool(level)


def _inside(value: list[Any] | dict[str, Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
