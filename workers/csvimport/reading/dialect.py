"""How a CSV file is written, guessed from its first lines."""

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import Any

DELIMITERS = ",;\t|"
QUOTES = ('"', "'", '\\"')  # doubled inside a cell, or with the backslash of MySQL
DECIMALS = ".,"
DATES = ("ymd", "dmy", "mdy")
SAMPLE_RECORDS = 100


@dataclass(frozen=True)
class Dialect:
    """encoding: "" if the whole file decides. quote: one of QUOTES.

    dates: the order if the year is last; year first is always read.
    """

    encoding: str = ""
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    dates: str = "ymd"


def dialect_from_arguments(arguments: dict[str, Any]) -> Dialect | None:
    return Dialect(**arguments["dialect"]) if arguments.get("dialect") else None


def guess_dialect(head: str) -> Dialect:
    delimiter = max(DELIMITERS, key=lambda delimiter: _score(head, delimiter))
    return Dialect(delimiter=delimiter, quote=_guess_quote(head, delimiter))


def reader_options(delimiter: str, quote: str) -> dict[str, Any]:
    escape = "\\" if quote.startswith("\\") else None
    return {"delimiter": delimiter, "quotechar": quote[-1], "escapechar": escape, "skipinitialspace": True}


def _guess_quote(head: str, delimiter: str) -> str:
    header = next(iter(_read_records(head, delimiter, '"')), [])
    if header and all(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in header):
        return "'"
    if '\\"' in head and _score(head, delimiter, '\\"') > _score(head, delimiter):
        return '\\"'
    return '"'


def _score(head: str, delimiter: str, quote: str = '"') -> tuple[int, int]:
    widths = [len(record) for record in _read_records(head, delimiter, quote) if any(record)]
    if not widths or widths[0] < 2:
        return 0, 0
    return widths.count(widths[0]), widths[0]


def _read_records(head: str, delimiter: str, quote: str) -> list[list[str]]:
    records: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(head, newline=""), strict=True, **reader_options(delimiter, quote))
        records.extend(islice(reader, SAMPLE_RECORDS))
    except csv.Error:
        pass  # extend keeps what came before the error
    return records
