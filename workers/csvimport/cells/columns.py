"""One compiled cleaner for each field of a model: a whole column of cells in, values for the database out.

A column is converted at once, at C speed. A column that raises is halved until the cells at fault stand alone, so
that a good cell costs about 0.3 microseconds and only a bad one costs a sentence. Fields of classes not in PARSERS are
cleaned by the field itself, a cell at a time (fields.py).
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from functools import partial
from itertools import islice, repeat
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import (
    BaseValidator,
    DecimalValidator,
    MaxLengthValidator,
    MaxValueValidator,
    MinValueValidator,
)
from django.db import models
from django.db.models import NOT_PROVIDED, Field

from workers.csvimport.cells.dates import dates
from workers.csvimport.cells.errors import SHOWN, CellError, shown
from workers.csvimport.cells.fields import Parser, parser_of, prepared, words_of
from workers.csvimport.cells.formulas import unescape_formula
from workers.csvimport.cells.numbers import decimals, floats, integers
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.encoding import LOST

Check = Callable[[list[Any]], None]
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
TRUTH = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)


class Column:
    """The cleaner of one field. required: an empty cell is an error, whatever the field says.

    escaped: the cells have been through `escape_formula`. dialect: how numbers and dates are written.
    """

    def __init__(self, field: Field, dialect: Dialect, *, required: bool, escaped: bool = False) -> None:
        self.escaped = escaped
        # A row that names its column cannot leave the value to the database.
        has_only_db_default = field.db_default is not NOT_PROVIDED and not field.has_default()
        self.required = required or not (field.null or (field.blank and not has_only_db_default))
        self.empties = repeat(None) if field.null or self.required else _defaults_of(field)
        fast = type(field) in PARSERS
        self.parse = PARSERS[type(field)](dialect) if fast else parser_of(field)
        validators = [*field.validators, *([partial(field.validate, model_instance=None)] if field.choices else [])]
        self.checks = [_check_of(validator) for validator in validators] if fast else []

    def clean(self, cells: Sequence[str]) -> tuple[list[Any], dict[int, str]]:
        """The values, and what is wrong by index; the value of a wrong cell means nothing."""
        problems: dict[int, str] = {}
        own = map(unescape_formula, cells) if self.escaped else cells
        return self._clean(list(map(str.strip, own)), 0, problems), problems

    def _clean(self, cells: list[str], start: int, problems: dict[int, str]) -> list[Any]:
        try:
            return self._convert(cells)
        except CellError as wrong:
            if len(cells) == 1:
                problems[start] = str(wrong)
                return [None]
        middle = len(cells) // 2
        return self._clean(cells[:middle], start, problems) + self._clean(cells[middle:], start + middle, problems)

    def _convert(self, cells: list[str]) -> list[Any]:
        _refuse_what_is_no_text("".join(cells))
        filled = cells if all(cells) else [cell for cell in cells if cell]
        if self.required and len(filled) < len(cells):
            raise CellError("is missing")
        if not filled:
            return list(islice(self.empties, len(cells)))
        values = self.parse(filled)
        for check in self.checks:
            check(values)
        if filled is cells:
            return values
        following = iter(values)
        return [next(following if cell else self.empties) for cell in cells]


def _defaults_of(field: Field) -> Iterator[Any]:
    """What empty cells become. A default that is called, such as uuid4, is called for each of them."""
    if field.has_default() and callable(field.default):
        return map(partial(prepared, field), iter(field.get_default, object()))
    return repeat(prepared(field, field.get_default()))


def _refuse_what_is_no_text(text: str) -> None:
    if "\0" in text:
        raise CellError("has a NUL character in it, which no text may have")
    if LOST in text:
        raise CellError(f"has bytes that are no letters of its encoding, where the {LOST} is")


def _booleans(cells: list[str]) -> list[bool]:
    try:
        return [TRUTH[cell.lower()] for cell in cells]
    except KeyError:
        raise CellError(f"{shown(cells[0])} is neither yes nor no") from None


def _texts(dialect: Dialect) -> Parser:
    return list


def _integers(dialect: Dialect) -> Parser:
    return integers(dialect.decimal)


PARSERS: dict[type[Field], Callable[[Dialect], Parser]] = {
    **dict.fromkeys([models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField], _texts),
    **dict.fromkeys([models.IntegerField, models.BigIntegerField, models.SmallIntegerField], _integers),
    **dict.fromkeys([models.PositiveIntegerField, models.PositiveBigIntegerField], _integers),
    models.PositiveSmallIntegerField: _integers,
    models.DecimalField: lambda dialect: decimals(dialect.decimal),
    models.FloatField: lambda dialect: floats(dialect.decimal),
    models.DateField: lambda dialect: dates(dialect.dates),
    models.BooleanField: lambda dialect: _booleans,
}


BOUNDS: dict[type[BaseValidator], tuple[Callable[[list[Any]], Any], Callable[[Any, Any], bool], str]] = {
    MinValueValidator: (min, operator.lt, "{value} is less than {limit}"),
    MaxValueValidator: (max, operator.gt, "{value} is more than {limit}"),
    MaxLengthValidator: (lambda texts: max(map(len, texts)), operator.gt, "is longer than {limit} characters"),
}


def _check_of(validator: Any) -> Check:
    """The validator for a list of values: one comparison for the kinds that most fields have."""
    if type(validator) is DecimalValidator:
        return _digits(validator)
    if type(validator) in BOUNDS:
        return _bound(validator)

    def check(values: list[Any]) -> None:
        try:
            for value in values:
                validator(value)
        except ValidationError as error:
            raise CellError(words_of(error)) from None

    return check


def _bound(validator: BaseValidator) -> Check:
    extreme, breaks, words = BOUNDS[type(validator)]
    limit = validator.limit_value() if callable(validator.limit_value) else validator.limit_value

    def check(values: list[Any]) -> None:
        value = extreme(values)
        if breaks(value, limit):
            raise CellError(words.format(value=str(value)[:SHOWN], limit=limit))

    return check


def _digits(validator: DecimalValidator) -> Check:
    """Zeros at the end of a number count for nothing here: 12.5000 is a price with two decimal places."""
    places, digits = validator.decimal_places or 0, validator.max_digits or 0
    whole = digits - places
    # One digit more: 99999999.999 rounds to nine of them before the point.
    limit, step, precise = Decimal(1).scaleb(whole), Decimal(1).scaleb(-places), Context(prec=digits + 1)

    def check(values: list[Any]) -> None:
        if max(values) >= limit or min(values) <= -limit:
            raise CellError(f"has more than {whole} digits before the point")
        if [value.quantize(step, context=precise) for value in values] != values:
            raise CellError(f"has more than {places} digits after the point")

    return check
