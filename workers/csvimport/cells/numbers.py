"""Numbers as people of several countries write them: 1234.56, 1,234.56, 1.234,56, 1 234,56, 1'234.56, € 12,50.

A column is converted at once. The plain form of a decimal mark goes straight to Python; marks between thousands must
stand where thousands are, so that 12,50 in a file with decimal points is an error and not 1250.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from math import isfinite

from workers.csvimport.cells.errors import CellError, shown

SPACES = " \u00a0\u2009\u202f"
LONGEST = 80  # characters of a number, its marks and its currency included
NAMED = {".": "", ",": " with a decimal comma"}
_CURRENCY = r"(?:[$€£¥₹₽₺]|CHF|EUR|USD|GBP|JPY|SEK|NOK|DKK|PLN|CZK|kr\.?|zł|Kč|Fr\.)"
_MONEY = re.compile(rf"(?im)^{_CURRENCY}[{SPACES}]?|[{SPACES}]?{_CURRENCY}$")
_MARKED = re.compile(rf"[+\-−]?[\d.,'’{SPACES}]+")  # noqa: RUF001 - the signs that files have
_PLAIN = {ord(sign): None for sign in f"'’{SPACES}"} | {ord("−"): "-"}  # noqa: RUF001


def _number(mark: str, others: str) -> re.Pattern[str]:
    group = rf"[{others}'’{SPACES}]"  # noqa: RUF001
    return re.compile(rf"[+\-−]?(?:\d{{1,3}}(?P<by>{group})\d{{3}}(?:(?P=by)\d{{3}})*|\d*)(?:{re.escape(mark)}\d*)?")  # noqa: RUF001


_NUMBERS = {".": _number(".", ","), ",": _number(",", ".")}
_TO_PYTHON = {".": _PLAIN | {ord(","): None}, ",": _PLAIN | {ord("."): None, ord(","): "."}}


def decimals(mark: str) -> Callable[[list[str]], list[Decimal]]:
    """The parser of numbers whose decimals follow the mark."""

    def parse(cells: list[str]) -> list[Decimal]:
        try:
            values = list(map(Decimal, _quick(cells, mark)))
        except (InvalidOperation, ValueError):
            try:
                values = list(map(Decimal, _as_python(cells, mark)))
            except (InvalidOperation, ValueError):
                raise CellError(f"{shown(cells[0])} is not a number{NAMED[mark]}") from None
        if not all(map(Decimal.is_finite, values)):
            raise CellError(f"{shown(cells[0])} is not a number")
        return values

    return parse


def floats(mark: str) -> Callable[[list[str]], list[float]]:
    """The same numbers in the machine's own precision."""
    exact = decimals(mark)

    def parse(cells: list[str]) -> list[float]:
        values = list(map(float, exact(cells)))
        if not all(map(isfinite, values)):
            raise CellError(f"{shown(cells[0])} is too large a number")
        return values

    return parse


def integers(mark: str) -> Callable[[list[str]], list[int]]:
    """The parser of whole numbers; decimals that are zeros count for nothing: spreadsheets write 5.0."""

    def parse(cells: list[str]) -> list[int]:
        try:
            return list(map(int, _without_underscores(cells)))
        except ValueError:
            pass
        try:
            return [int(re.sub(r"\.0*$", "", cell)) for cell in _as_python(cells, mark)]
        except ValueError:
            raise CellError(f"{shown(cells[0])} is not a whole number") from None

    return parse


def guess_decimal(cells: Iterable[str]) -> tuple[str, bool]:
    """The mark before the decimals, and whether the cells tell: 1.234 alone may be either."""
    votes = Counter(map(_vote, cells))
    if votes["."] or votes[","]:
        return max(".,", key=votes.__getitem__), True
    return ".", not votes["?"]


def _vote(cell: str) -> str:
    """The mark that a cell proves, "?" for one that might be either, "" for none."""
    if len(cell) > LONGEST:
        return ""
    number = _MONEY.sub("", cell.strip())
    marks = re.findall(r"[.,]", number)
    if not marks or not _MARKED.fullmatch(number):
        return ""
    last = str(marks[-1])
    if marks.count(last) > 1:
        return "," if last == "." else "."
    whole, _, decimals_ = number.lstrip("+-−").rpartition(last)  # noqa: RUF001
    either = len(marks) == 1 and re.fullmatch(r"[1-9]\d{0,2}", whole) and len(decimals_) == 3
    return "?" if either else last


def _quick(cells: list[str], mark: str) -> list[str]:
    """The cells, where they need no more than another mark. Raises ValueError otherwise."""
    _without_underscores(cells)
    if mark == ".":
        return cells
    text = "\n".join(cells)
    plain = text.replace(",", ".").split("\n")
    if "." in text or len(plain) != len(cells):
        raise ValueError
    return plain


def _as_python(cells: list[str], mark: str) -> list[str]:
    """The cells as Python writes numbers. Raises ValueError where one has another form."""
    if max(map(len, cells)) > LONGEST:
        raise ValueError
    plain = _MONEY.sub("", "\n".join(cells)).split("\n")
    if len(plain) != len(cells) or not all(map(_NUMBERS[mark].fullmatch, plain)):
        raise ValueError
    return "\n".join(plain).translate(_TO_PYTHON[mark]).split("\n")


def _without_underscores(cells: list[str]) -> list[str]:
    """Python reads 1_000 as a number. People do not."""
    if "_" in "".join(cells):
        raise ValueError
    return cells
