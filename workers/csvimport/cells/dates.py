"""Dates as people of several countries write them. A time of day behind a date is dropped, with its zone."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date

from django.utils.dateparse import parse_date

from workers.csvimport.cells.errors import CellError, quote_short
from workers.csvimport.cells.months import replace_month_names

MAX_DATE_CHARACTERS = 60  # with its time of day
EXAMPLES = {"ymd": "2026-12-31", "dmy": "31.12.2026", "mdy": "12/31/2026"}
# What databases and spreadsheets add to a day. The day is taken as written, in whatever zone.
_TIME = re.compile(
    r"(?m)(?:,? |[Tt])[0-2]?\d:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?"
    r"(?: ?[AaPp]\.?[Mm]\.?)?(?: ?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?$"
)
_YEAR_FIRST = re.compile(r"(?m)^(\d{4})([./]) ?(\d{1,2})\2 ?(\d{1,2})\.?$")
_YEAR_LAST = re.compile(r"(?m)^(\d{1,2})([./-]) ?(\d{1,2})\2 ?(\d{4})$")
_REORDERED = {"dmy": r"\4-\3-\1", "mdy": r"\4-\1-\3"}


def make_date_parser(order: str) -> Callable[[list[str]], list[date]]:
    """order: of dates with the year last, one of DATES in dialect.py."""

    def parse(cells: list[str]) -> list[date]:
        try:
            return list(map(date.fromisoformat, cells))
        except ValueError:
            pass
        plain = _rewrite_as_iso(cells, order)
        try:
            return list(map(date.fromisoformat, plain))
        except ValueError:
            pass
        try:
            values = list(map(parse_date, plain))
        except ValueError:
            raise CellError(f"{quote_short(cells[0])} is not a day of any calendar") from None
        if None in values:
            raise CellError(f"{quote_short(cells[0])} is not a date such as {EXAMPLES[order]}")
        return values  # type: ignore[return-value] # no None is left

    return parse


def guess_dates(cells: Iterable[str]) -> tuple[str, bool]:
    """The order, and whether it is certain."""
    votes = Counter(map(_vote, cells))
    if votes["dmy"] or votes["mdy"]:
        return max(("dmy", "mdy"), key=votes.__getitem__), True
    return ("dmy", False) if votes["?"] else ("ymd", True)


def looks_like_date(cell: str) -> bool:
    plain = _drop_time_of(cell)
    return bool(_YEAR_LAST.fullmatch(plain) or re.fullmatch(r"\d{4}([-./]) ?\d{1,2}\1 ?\d{1,2}\.?", plain))


def _vote(cell: str) -> str:
    found = _YEAR_LAST.fullmatch(_drop_time_of(cell))
    if not found:
        return ""
    first, sign, second, _ = found.groups()
    if sign == "." or int(first) > 12:  # nobody writes the month first with points
        return "dmy"
    return "mdy" if int(second) > 12 else "?"


def _drop_time_of(cell: str) -> str:
    return _drop_time(cell) if len(cell) <= MAX_DATE_CHARACTERS else ""


def _drop_time(text: str) -> str:
    """Month names become numbers too. text: a cell, or a line for each cell."""
    plain = text.strip()
    return replace_month_names(_TIME.sub("", plain) if ":" in plain else plain)


def _rewrite_as_iso(cells: list[str], order: str) -> list[str]:
    if max(map(len, cells)) > MAX_DATE_CHARACTERS:
        return cells
    plain = _YEAR_FIRST.sub(r"\1-\3-\4", _drop_time("\n".join(cells)))
    if order in _REORDERED:
        plain = _YEAR_LAST.sub(_REORDERED[order], plain)
    written = plain.split("\n")
    return written if len(written) == len(cells) else cells
