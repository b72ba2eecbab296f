"""Converts a whole column of cells to values for the database."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, repeat
from typing import Any

from django.db import models
from django.db.models import NOT_PROVIDED, Field

from workers.csvimport.cells.checks import make_checks
from workers.csvimport.cells.dates import make_date_parser
from workers.csvimport.cells.errors import CellError, quote_short
from workers.csvimport.cells.fields import Parser, make_field_parser, prepare_value
from workers.csvimport.cells.formulas import unescape_formula
from workers.csvimport.cells.numbers import make_decimal_parser, make_float_parser, make_integer_parser
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.encoding import REPLACEMENT

BOOLEANS = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)


class ColumnCleaner:
    """is_required: an empty cell is an error, whatever the field says.

    is_escaped: cells went through `escape_formula`.
    """

    def __init__(self, field: Field, dialect: Dialect, *, is_required: bool, is_escaped: bool = False) -> None:
        self.is_escaped = is_escaped
        # COPY cannot leave a single row's value to the database.
        has_only_db_default = field.db_default is not NOT_PROVIDED and not field.has_default()
        self.is_required = is_required or not (field.null or (field.blank and not has_only_db_default))
        self.empty_values = repeat(None) if field.null or self.is_required else _iterate_defaults(field)
        factory = PARSER_FACTORIES.get(type(field))
        self.parse = factory(dialect) if factory else make_field_parser(field)
        self.checks = make_checks(field) if factory else []

    def clean(self, cells: Sequence[str]) -> tuple[list[Any], dict[int, str]]:
        """The values, and an error by index of each wrong cell, whose value has no meaning."""
        errors: dict[int, str] = {}
        unescaped = map(unescape_formula, cells) if self.is_escaped else cells
        return self._clean(list(map(str.strip, unescaped)), 0, errors), errors

    def _clean(self, cells: list[str], start: int, errors: dict[int, str]) -> list[Any]:
        try:
            return self._convert(cells)
        except CellError as error:
            if len(cells) == 1:
                errors[start] = str(error)
                return [None]
        middle = len(cells) // 2
        return self._clean(cells[:middle], start, errors) + self._clean(cells[middle:], start + middle, errors)

    def _convert(self, cells: list[str]) -> list[Any]:
        _check_is_text("".join(cells))
        filled = cells if all(cells) else [cell for cell in cells if cell]
        if self.is_required and len(filled) < len(cells):
            raise CellError("is missing")
        if not filled:
            return list(islice(self.empty_values, len(cells)))
        values = self.parse(filled)
        for check in self.checks:
            check(values)
        if filled is cells:
            return values
        filled_values = iter(values)
        return [next(filled_values if cell else self.empty_values) for cell in cells]


def _iterate_defaults(field: Field) -> Iterator[Any]:
    if field.has_default() and callable(field.default):
        return map(partial(prepare_value, field), iter(field.get_default, object()))
    return repeat(prepare_value(field, field.get_default()))


def _check_is_text(text: str) -> None:
    if "\0" in text:
        raise CellError("has a NUL character in it, which no text may have")
    if REPLACEMENT in text:
        raise CellError(f"has bytes that are no letters of its encoding, where the {REPLACEMENT} is")


def _parse_booleans(cells: list[str]) -> list[bool]:
    try:
        return [BOOLEANS[cell.lower()] for cell in cells]
    except KeyError:
        raise CellError(f"{quote_short(cells[0])} is neither yes nor no") from None


def _make_text_parser(dialect: Dialect) -> Parser:
    return list


def _make_integer_parser(dialect: Dialect) -> Parser:
    return make_integer_parser(dialect.decimal)


_TEXTS = (models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField)
_INTEGERS = (
    *(models.IntegerField, models.BigIntegerField, models.SmallIntegerField),
    *(models.PositiveIntegerField, models.PositiveBigIntegerField, models.PositiveSmallIntegerField),
)
PARSER_FACTORIES: dict[type[Field], Callable[[Dialect], Parser]] = {
    **dict.fromkeys(_TEXTS, _make_text_parser),
    **dict.fromkeys(_INTEGERS, _make_integer_parser),
    models.DecimalField: lambda dialect: make_decimal_parser(dialect.decimal),
    models.FloatField: lambda dialect: make_float_parser(dialect.decimal),
    models.DateField: lambda dialect: make_date_parser(dialect.dates),
    models.BooleanField: lambda dialect: _parse_booleans,
}
