"""A field's validators for a whole column at once."""

import operator
from collections.abc import Callable
from decimal import Context, Decimal
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import (
    BaseValidator,
    DecimalValidator,
    MaxLengthValidator,
    MaxValueValidator,
    MinValueValidator,
)
from django.db.models import Field

from workers.csvimport.cells.errors import MAX_SHOWN_CHARACTERS, CellError
from workers.csvimport.cells.fields import format_validation_error

Check = Callable[[list[Any]], None]  # raises CellError if any of the values is wrong
BOUNDS: dict[type[BaseValidator], tuple[Callable[[list[Any]], Any], Callable[[Any, Any], bool], str]] = {
    MinValueValidator: (min, operator.lt, "{value} is less than {limit}"),
    MaxValueValidator: (max, operator.gt, "{value} is more than {limit}"),
    MaxLengthValidator: (lambda texts: max(map(len, texts)), operator.gt, "is longer than {limit} characters"),
}


def make_checks(field: Field) -> list[Check]:
    choices = [partial(field.validate, model_instance=None)] if field.choices else []
    return [_make_check(validator) for validator in [*field.validators, *choices]]


def _make_check(validator: Any) -> Check:
    if type(validator) is DecimalValidator:
        return _make_digits_check(validator)
    if type(validator) in BOUNDS:
        return _make_bound_check(validator)

    def check(values: list[Any]) -> None:
        try:
            for value in values:
                validator(value)
        except ValidationError as error:
            raise CellError(format_validation_error(error)) from None

    return check


def _make_bound_check(validator: BaseValidator) -> Check:
    find_extreme, is_beyond, message = BOUNDS[type(validator)]
    limit = validator.limit_value() if callable(validator.limit_value) else validator.limit_value

    def check(values: list[Any]) -> None:
        extreme = find_extreme(values)
        if is_beyond(extreme, limit):
            raise CellError(message.format(value=str(extreme)[:MAX_SHOWN_CHARACTERS], limit=limit))

    return check


def _make_digits_check(validator: DecimalValidator) -> Check:
    """Unlike Django's, it ignores zeros at the end: 12.5000 has two decimal places."""
    places, max_digits = validator.decimal_places or 0, validator.max_digits or 0
    whole_digits = max_digits - places
    # One digit more: 99999999.999 rounds to nine digits before the point.
    limit, step, context = Decimal(1).scaleb(whole_digits), Decimal(1).scaleb(-places), Context(prec=max_digits + 1)

    def check(values: list[Any]) -> None:
        if max(values) >= limit or min(values) <= -limit:
            raise CellError(f"has more than {whole_digits} digits before the point")
        if [value.quantize(step, context=context) for value in values] != values:
            raise CellError(f"has more than {places} digits after the point")

    return check
