"""A page of records against the model: what can be written, as values, and what cannot, with all reasons of a row."""

from collections import defaultdict
from itertools import compress
from operator import itemgetter
from typing import Any, NamedTuple

from workers.highmem.csv_columns import Column
from workers.highmem.csv_dialect import Dialect
from workers.highmem.csv_header import Header, Table
from workers.highmem.csv_reading import MISMATCHED, Page
from workers.highmem.rejects import Reject


class Chunk(NamedTuple):
    """What is written in one transaction.

    rows: values in the order of the header's fields, no key twice. records: how many of the file this was.
    next_line: where the file goes on.
    """

    rows: list[tuple[Any, ...]]
    rejects: list[Reject]
    records: int
    next_line: int


class Checker:
    """Made once for a file."""

    def __init__(self, header: Header, table: Table, dialect: Dialect) -> None:
        self.header = header
        self.width = header.width
        defused = header.has_report
        self.columns = [
            (header.names[place], place, Column(field, dialect, required=table.requires(field), defused=defused))
            for field, place in header.places.items()
        ]
        self.key_of = itemgetter(*(index for index, field in enumerate(header.places) if field in table.key))

    def check(self, page: Page) -> Chunk:
        lines, rows = page.lines, page.rows
        rejects = [self._reject(line, MISMATCHED, cells) for line, cells in page.broken]
        fits = [len(row) == self.width for row in rows]
        if not all(fits):
            rejects += [
                self._reject(line, f"has {len(row)} cells, and the header has {self.width}", row)
                for line, row, fit in zip(lines, rows, fits, strict=True)
                if not fit
            ]
            lines, rows = list(compress(lines, fits)), list(compress(rows, fits))
        values, reasons = self._clean(rows)
        rejects += [self._reject(lines[index], reason, rows[index]) for index, reason in reasons.items()]
        if reasons:
            values = [row for index, row in enumerate(values) if index not in reasons]
        last_of_each_key = {self.key_of(row): row for row in values}
        records = len(page.rows) + len(page.broken)
        return Chunk(list(last_of_each_key.values()), sorted(rejects), records, page.next_line)

    def _clean(self, rows: list[list[str]]) -> tuple[list[tuple[Any, ...]], dict[int, str]]:
        """The values of each row, and what is wrong with a row by its index."""
        cells = list(zip(*rows, strict=True)) or [()] * self.width
        values = []
        wrong = defaultdict[int, list[str]](list)
        for name, place, column in self.columns:
            cleaned, problems = column.clean(cells[place])
            values.append(cleaned)
            for index, problem in problems.items():
                wrong[index].append(f"{name}: {problem}")
        return list(zip(*values, strict=True)), {index: "; ".join(reasons) for index, reasons in wrong.items()}

    def _reject(self, line: int, reason: str, cells: list[str]) -> Reject:
        return Reject(line, reason, self.header.own_cells(cells))
