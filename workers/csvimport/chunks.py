"""Validated records in chunks of one transaction each."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from workers.csvimport.reading.records import RecordPage
from workers.csvimport.rejected_rows import Rejection
from workers.csvimport.validate import RowValidator
from workers.postgres_copy import format_copy_lines

FIRST_PAGES = 2  # in the first chunk, so that the import of a wrong file ends early
MAX_CELLS = 400_000  # in a chunk, a page more or less: one of 16,000 columns took 284 MB


@dataclass
class RowChunk:
    """copy_lines, keys, lines and cells have an item for each good record; `records` counts the rejected ones too."""

    copy_lines: list[str] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    records: int = 0
    next_line: int = 0
    last_rows: bytes = b""
    last_row_count: int = 0

    def close(self) -> "RowChunk":
        """Sets last_rows: the lines for COPY with only the last record of each key, in the order of the keys.

        Two transactions that lock rows in one order cannot deadlock.
        """
        rows = dict(zip(self.keys, self.copy_lines, strict=True))
        last_rows = [rows[key] for key in sorted(rows)]
        self.last_rows, self.last_row_count = "".join(last_rows).encode(), len(last_rows)
        return self


@dataclass
class ChunkMaker:
    """The default_columns come first in a row for COPY."""

    validator: RowValidator
    default_columns: Sequence[Iterator[Any]]
    pages_per_chunk: int

    def make_chunks(self, pages: Iterable[RecordPage]) -> Iterator[RowChunk]:
        chunk = RowChunk()
        for number, page in enumerate(pages, 1):
            self._add(page, chunk)
            is_large = len(chunk.cells) * self.validator.header.width > MAX_CELLS
            if number % self.pages_per_chunk == 0 or number == FIRST_PAGES or is_large:
                yield chunk.close()
                chunk = RowChunk()
        if chunk.records:
            yield chunk.close()

    def _add(self, page: RecordPage, chunk: RowChunk) -> None:
        records, rejections = self.validator.validate_page(page)
        if records.lines:
            defaults = [list(islice(values, len(records.lines))) for values in self.default_columns]
            chunk.copy_lines += format_copy_lines(defaults + records.columns)
            chunk.keys += self.validator.keys_of(records)
            chunk.lines += records.lines
            chunk.cells += records.cells
        chunk.rejections += rejections
        chunk.records += len(page.rows) + len(page.broken)
        chunk.next_line = page.next_line


def read_ahead(chunks: Generator[RowChunk, None, None]) -> Generator[RowChunk, None, None]:
    with closing(chunks), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, chunks, None)
        while chunk := coming.result():
            coming = thread.submit(next, chunks, None)
            yield chunk
