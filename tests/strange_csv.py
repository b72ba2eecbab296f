"""Two hundred CSV files, each a random mixture of the ways in which programs and people write one table."""

import csv
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random

COUNT = 200
NAMES = {
    "own": ["external_id", "title", "price", "released_on"],
    "spaced": ["External ID", "TITLE", "Price", "Released On"],
    "German": ["Artikel-Nr.", "Bezeichnung", "Preis", "Datum"],
    "unknown": ["Kood", "Pealkiri", "Hind", "Ilmus"],
    "none": [],
}
NUMBERS = {
    "plain": "{:.2f}",
    "English": "{:,.2f}",
    "dollars": "${:,.2f}",
    "German": "{:,.2f}",
    "euros": "{:,.2f} €",
    "French": "{:,.2f}",
    "Swiss": "{:,.2f}",
}
MARKS = {"German": ".,", "euros": ".,", "French": " ,", "Swiss": "'."}  # between thousands, and the decimal mark
DATES = {
    "ISO": "%Y-%m-%d",
    "slashes": "%Y/%m/%d",
    "database": "%Y-%m-%d 14:22:11",
    "JSON": "%Y-%m-%dT00:00:00Z",
    "points": "%d.%m.%Y",
    "British": "%d/%m/%Y",
    "American": "%m/%d/%Y 2:05:00 PM",
    "month": "%d %b %Y",
    "Oracle": "%d-%b-%Y",
    "American month": "%B %d, %Y",
}
PREAMBLES = ("", "", "sep", "blank", "comments", "title", "padded title", "facts")
ENDS = ("newline", "newline", "nothing", "blank lines", "Ctrl-Z", "Ctrl-Z and NULs")
TITLES = ['The "Great" War', "Die Größe; Band 1", "Bread, Salt | Wine", "Two\nlines", "L'été", '5" disk']
ROWS = [
    (f"A{number}", TITLES[number % len(TITLES)], Decimal(1234 + number) + Decimal("0.5"), date(2024, 12, 31 - number))
    for number in range(12)
]


@dataclass(frozen=True)
class StrangeFile:
    """traits: axis -> what was drawn."""

    traits: dict[str, str]
    data: bytes

    def __str__(self) -> str:
        return " ".join(
            f"{value!r}" if name in ("delimiter", "line_end") else value for name, value in self.traits.items() if value
        )


def draw_file(number: int) -> StrangeFile:
    draw = Random(number).choice
    traits = {
        "delimiter": draw(",;\t|"),
        "quotes": draw(["minimal", "all", "single"]),
        "line_end": draw(["\n", "\r\n", "\r"]),
        "encoding": draw(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252"]),
        "names": draw(list(NAMES)),
        "numbers": draw(list(NUMBERS)),
        "dates": draw(list(DATES)),
        "preamble": draw(PREAMBLES),
        "row_end": draw(["", "", "delimiter", "empty cells"]),
        "end": draw(ENDS),
    }
    if traits["encoding"] == "utf-16-le" and traits["line_end"] == "\r":
        traits["line_end"] = "\n"  # without a mark, its line feeds tell
    if traits["encoding"].startswith("utf-16") and "Ctrl-Z" in traits["end"]:
        traits["end"] = "newline"  # no program of DOS wrote that
    if traits["names"] == "none" and traits["preamble"] in ("title", "padded title", "facts"):
        traits["preamble"] = "sep"  # a title above rows without names is a row to reject
    return StrangeFile(traits, _write(traits).encode(traits["encoding"]))


def format_number(value: Decimal, style: str) -> str:
    between, mark = MARKS.get(style, ",.")
    return NUMBERS[style].format(value).translate({ord(","): between, ord("."): mark})


def _write(traits: dict[str, str]) -> str:
    delimiter, line_end = traits["delimiter"], traits["line_end"]
    names = NAMES[traits["names"]]
    rows = [
        [key, title, format_number(price, traits["numbers"]), day.strftime(DATES[traits["dates"]])]
        for key, title, price, day in ROWS
    ]
    rest = {"delimiter": [""], "empty cells": ["", " "]}.get(traits["row_end"], [])
    table = io.StringIO(newline="")
    # Where lines end with \r, csv.writer leaves a cell with \n without quotes (Python before 3.13).
    is_minimal = traits["quotes"] == "minimal" and line_end != "\r"
    quoting = csv.QUOTE_MINIMAL if is_minimal else csv.QUOTE_ALL
    quote = "'" if traits["quotes"] == "single" and names else '"'
    writer = csv.writer(table, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=line_end)
    writer.writerows([*([names] if names else []), *(row + rest for row in rows)])
    return _preamble(traits["preamble"], delimiter, line_end) + _finish(table.getvalue(), traits["end"], line_end)


def _preamble(kind: str, delimiter: str, line_end: str) -> str:
    lines = {
        "": [],
        "sep": [f"sep={delimiter}"],
        "blank": ["", "  ", ""],
        "comments": ["# exported at night", "#", "# by a shop"],
        "title": ["Books in stock", ""],
        "padded title": ["Books in stock" + delimiter * 3, delimiter * 3],
        "facts": [f"Customer{delimiter}ACME", f"Rows{delimiter}12", ""],
    }[kind]
    return "".join(line + line_end for line in lines)


def _finish(text: str, end: str, line_end: str) -> str:
    plain = text.removesuffix(line_end)
    endings = {
        "nothing": "",
        "blank lines": line_end * 4,
        "Ctrl-Z": line_end + "\x1a",
        "Ctrl-Z and NULs": "\x1a" + "\0" * 40,
    }
    return plain + endings.get(end, line_end)
