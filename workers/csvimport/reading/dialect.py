"""How a CSV file is written: what must be known to read it, guessed from its first lines.

Whatever is guessed here is shown to the person and can be changed; what they say is kept with the job.
"""

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import Any

DELIMITERS = ",;\t|"
# As it stands in the file: doubled inside a cell, or with the backslash of MySQL.
QUOTES = ('"', "'", '\\"')
DECIMALS = ".,"
DATES = ("ymd", "dmy", "mdy")
LOOKED_AT = 100  # records that tell the delimiter


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    encoding: a Python codec; "" while nobody has said: it is told from all of the bytes. quote: one of QUOTES.
    decimal: the mark before the decimals. dates: the order of year, month and day where the year stands last; a date
    with the year first is read in any.
    """

    encoding: str = ""
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    dates: str = "ymd"


def dialect_in(arguments: dict[str, Any]) -> Dialect | None:
    """The dialect in the arguments of an import's job, None where nobody has said."""
    return Dialect(**arguments["dialect"]) if arguments.get("dialect") else None


def guess_delimiter(head: str) -> str:
    """The one by which the most records are as wide as the header; of equals the one that makes it wider."""
    return max(DELIMITERS, key=lambda delimiter: _fit(head, delimiter))


def guess_quote(head: str, delimiter: str) -> str:
    """The quotes of a file's beginning, as it was cut by the delimiter."""
    header = next(iter(_records(head, delimiter, '"')), [])
    if header and all(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in header):
        return "'"
    if '\\"' in head and _fit(head, delimiter, '\\"') > _fit(head, delimiter):
        return '\\"'
    return '"'


def options(delimiter: str, quote: str) -> dict[str, Any]:
    """What csv.reader is told of a dialect."""
    escape = "\\" if quote.startswith("\\") else None
    return {"delimiter": delimiter, "quotechar": quote[-1], "escapechar": escape, "skipinitialspace": True}


def _fit(head: str, delimiter: str, quote: str = '"') -> tuple[int, int]:
    """How many of the first records are as wide as the first one, and how wide that is."""
    widths = [len(record) for record in _records(head, delimiter, quote) if any(record)]
    if not widths or widths[0] < 2:
        return 0, 0
    return widths.count(widths[0]), widths[0]


def _records(head: str, delimiter: str, quote: str) -> list[list[str]]:
    records: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(head, newline=""), strict=True, **options(delimiter, quote))
        records.extend(islice(reader, LOOKED_AT))
    except csv.Error:
        pass  # extend keeps what came before the error
    return records
