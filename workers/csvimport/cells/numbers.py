"""Numbers as people of several countries write them.

Marks between thousands must stand between thousands: in a file with decimal points, 12,50 is an error and not 1250.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from math import isfinite

from workers.csvimport.cells.errors import CellError, quote_short

SPACES = " \u00a0\u2009\u202f"
MAX_NUMBER_CHARACTERS = 80  # its marks and its currency included
MARK_NAMES = {".": "", ",": " with a decimal comma"}
_CURRENCY = r"(?:[$€£¥₹₽₺]|CHF|EUR|USD|GBP|JPY|SEK|NOK|DKK|PLN|CZK|kr\.?|zł|Kč|Fr\.)"
_MONEY = re.compile(rf"(?im)^{_CURRENCY}[{SPACES}]?|[{SPACES}]?{_CURRENCY}$")
_MARKED = re.compile(rf"[+\-−]?[\d.,'’{SPACES}]+")  # noqa: RUF001 - the signs that files have
_PLAIN = {ord(sign): None for sign in f"'’{SPACES}"} | {ord("−"): "-"}  # noqa: RUF001


def _compile_number(mark: str, others: str) -> re.Pattern[str]:
    group = rf"[{others}'’{SPACES}]"  # noqa: RUF001
    return re.compile(rf"[+\-−]?(?:\d{{1,3}}(?P<by>{group})\d{{3}}(?:(?P=by)\d{{3}})*|\d*)(?:{re.escape(mark)}\d*)?")  # noqa: RUF001


_NUMBERS = {".": _compile_number(".", ","), ",": _compile_number(",", ".")}
_TO_PYTHON = {".": _PLAIN | {ord(","): None}, ",": _PLAIN | {ord("."): None, ord(","): "."}}


def make_decimal_parser(mark: str) -> Callable[[list[str]], list[Decimal]]:
    """mark: "." or ","."""

    def parse(cells: list[str]) -> list[Decimal]:
        try:
            values = list(map(Decimal, _replace_mark(cells, mark)))
        except (InvalidOperation, ValueError):
            try:
                values = list(map(Decimal, _rewrite_as_python(cells, mark)))
            except (InvalidOperation, ValueError):
                raise CellError(f"{quote_short(cells[0])} is not a number{MARK_NAMES[mark]}") from None
        if not all(map(Decimal.is_finite, values)):
            raise CellError(f"{quote_short(cells[0])} is not a number")
        return values

    return parse


def make_float_parser(mark: str) -> Callable[[list[str]], list[float]]:
    parse_decimals = make_decimal_parser(mark)

    def parse(cells: list[str]) -> list[float]:
        values = list(map(float, parse_decimals(cells)))
        if not all(map(isfinite, values)):
            raise CellError(f"{quote_short(cells[0])} is too large a number")
        return values

    return parse


def make_integer_parser(mark: str) -> Callable[[list[str]], list[int]]:
    """Takes 5.0 too, which spreadsheets write for 5."""

    def parse(cells: list[str]) -> list[int]:
        try:
            return list(map(int, _check_no_underscores(cells)))
        except ValueError:
            pass
        try:
            return [int(re.sub(r"\.0*$", "", cell)) for cell in _rewrite_as_python(cells, mark)]
        except ValueError:
            raise CellError(f"{quote_short(cells[0])} is not a whole number") from None

    return parse


def guess_decimal(cells: Iterable[str]) -> tuple[str, bool]:
    """The decimal mark, and whether it is certain."""
    votes = Counter(map(_vote, cells))
    if votes["."] or votes[","]:
        return max(".,", key=votes.__getitem__), True
    return ".", not votes["?"]


def _vote(cell: str) -> str:
    if len(cell) > MAX_NUMBER_CHARACTERS:
        return ""
    number = _MONEY.sub("", cell.strip())
    marks = re.findall(r"[.,]", number)
    if not marks or not _MARKED.fullmatch(number):
        return ""
    last = str(marks[-1])
    if marks.count(last) > 1:
        return "," if last == "." else "."
    whole, _, fraction = number.lstrip("+-−").rpartition(last)  # noqa: RUF001
    either = len(marks) == 1 and re.fullmatch(r"[1-9]\d{0,2}", whole) and len(fraction) == 3
    return "?" if either else last


def _replace_mark(cells: list[str], mark: str) -> list[str]:
    _check_no_underscores(cells)
    if mark == ".":
        return cells
    text = "\n".join(cells)
    plain = text.replace(",", ".").split("\n")
    if "." in text or len(plain) != len(cells):
        raise ValueError
    return plain


def _rewrite_as_python(cells: list[str], mark: str) -> list[str]:
    if max(map(len, cells)) > MAX_NUMBER_CHARACTERS:
        raise ValueError
    plain = _MONEY.sub("", "\n".join(cells)).split("\n")
    if len(plain) != len(cells) or not all(map(_NUMBERS[mark].fullmatch, plain)):
        raise ValueError
    return "\n".join(plain).translate(_TO_PYTHON[mark]).split("\n")


def _check_no_underscores(cells: list[str]) -> list[str]:
    if "_" in "".join(cells):
        raise ValueError
    return cells
