"""Pages of records against the model: what can be written, as lines for COPY, and what cannot, with every reason."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Any, NamedTuple

from workers.csvimport.cells.columns import Column
from workers.csvimport.cells.errors import SHOWN
from workers.csvimport.header import Header, Table
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.records import MISMATCHED, Page
from workers.csvimport.rejects import Reject
from workers.postgres_copy import lines_of

FIRST_PAGES = 2  # in the first chunk


@dataclass
class Chunk:
    """What is written in one transaction.

    rows, keys, lines, cells: of each good record what COPY takes, its key, and where and how it stands in the file.
    records: how many of the file this was. next_line: where the file goes on.
    latest, distinct: for COPY, the last row of each key, and how many these are; once the chunk is whole.
    """

    rows: list[str] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records: int = 0
    next_line: int = 0
    latest: bytes = b""
    distinct: int = 0

    def close(self) -> "Chunk":
        """The chunk, whole: made ready in the thread that reads, as the database waits for the one that writes."""
        rows = dict(zip(self.keys, self.rows, strict=True)).values()
        self.latest, self.distinct = "".join(rows).encode(), len(rows)
        return self


class Good(NamedTuple):
    """The good records of a page: where and how each stands in the file, and the values of each field's column."""

    lines: list[int]
    cells: list[list[str]]
    columns: list[list[Any]]


class Checker:
    """Made once for a file. others: a source of values for each column that the file does not set."""

    def __init__(self, header: Header, table: Table, dialect: Dialect, others: Sequence[Iterator[Any]] = ()) -> None:
        self.header = header
        self.width = header.width
        escaped = header.has_report
        self.columns = [
            (
                header.names[place][:SHOWN],
                place,
                Column(field, dialect, required=table.requires(field), escaped=escaped),
            )
            for field, place in header.places.items()
        ]
        self.key = [index for index, field in enumerate(header.places) if field in table.key]
        self.others = others

    def chunks(self, pages: Iterable[Page], pages_each: int) -> Iterator[Chunk]:
        """What a few thousand records take stays in the processor's cache; a transaction is worth more of them.

        The first chunk has two pages only: who imports the wrong file need not wait for more.
        """
        chunk = Chunk()
        for number, page in enumerate(pages, 1):
            self.check(page, chunk)
            if number % pages_each == 0 or number == FIRST_PAGES:
                yield chunk.close()
                chunk = Chunk()
        if chunk.records:
            yield chunk.close()

    def check(self, page: Page, chunk: Chunk | None = None) -> Chunk:
        """The chunk with the page's records in it; without one, a new one."""
        chunk = chunk or Chunk()
        good, rejects = self.judge(page)
        if good.lines:
            others = [list(islice(values_of, len(good.lines))) for values_of in self.others]
            chunk.rows += lines_of(others + good.columns)
            chunk.keys += self.keys(good)
            chunk.lines += good.lines
            chunk.cells += good.cells
        chunk.rejects += rejects
        chunk.records += len(page.rows) + len(page.broken)
        chunk.next_line = page.next_line
        return chunk

    def judge(self, page: Page) -> tuple[Good, list[Reject]]:
        """The page's records apart: the good ones, and the others."""
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
        if reasons:
            rejects += [self._reject(lines[index], reason, rows[index]) for index, reason in reasons.items()]
            good = [index not in reasons for index in range(len(rows))]
            lines, rows = list(compress(lines, good)), list(compress(rows, good))
            values = [list(compress(column, good)) for column in values]
        return Good(lines, rows, values), sorted(rejects)

    def keys(self, good: Good) -> Iterable[Any]:
        """What tells each of the records from the others."""
        first, *others = (good.columns[index] for index in self.key)
        return zip(first, *others, strict=True) if others else first

    def _clean(self, rows: list[list[str]]) -> tuple[list[list[Any]], dict[int, str]]:
        """The values of each column, and what is wrong with a row by its index."""
        cells = list(zip(*rows, strict=True)) or [()] * self.width
        values = []
        wrong = defaultdict[int, list[str]](list)
        for name, place, column in self.columns:
            cleaned, problems = column.clean(cells[place])
            values.append(cleaned)
            for index, problem in problems.items():
                wrong[index].append(f"{name}: {problem}")
        return values, {index: "; ".join(reasons) for index, reasons in wrong.items()}

    def _reject(self, line: int, reason: str, cells: list[str]) -> Reject:
        return Reject(line, reason, self.header.own_cells(cells))
