"""Imports a CSV file into a table: each chunk's rows, rejected rows and checkpoint are one transaction.

A stopped import continues after its last committed chunk, and counts each record once.
"""

import gc
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import IO, Any

from django.db import transaction

from workers.csvimport.chunks import ChunkMaker, RowChunk, read_ahead
from workers.csvimport.column_guess import make_name_counter
from workers.csvimport.header import Header, match_header
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.inspection import FileFormat, inspect_file
from workers.csvimport.reading.records import PAGE_LINES, read_header, read_pages
from workers.csvimport.reading.table_start import TableStart
from workers.csvimport.rejected_rows import Rejection
from workers.csvimport.target_table import TargetTable
from workers.csvimport.validate import RowValidator
from workers.csvimport.write import TableWriter, WriteResult

STAGE_READING = "reading the file"
CHUNK_LINES = 10_000  # about 0.1 s of an import; 20,000 are 5 % faster, and take 125 MB instead of 108
MIN_ROWS_FOR_SHARE = 1_000  # of fewer rows, no share of rejected ones means anything
COUNTS = ("created", "updated", "unchanged", "rejected")


class TooManyRejectedError(Exception):
    def __init__(self, rejected: int, rows: int) -> None:
        self.sentence = (
            f"Stopped after {rows:,} rows, because {rejected:,} of them were rejected. What was imported before stays. "
            "Look at the rejected rows: if they are what you expect, import the rest all the same."
        )
        super().__init__(self.sentence)


@contextmanager
def tune_for_two_threads() -> Iterator[None]:
    """See docs/facts/tools.md#switch-interval."""
    thresholds, switch_seconds = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50_000, *thresholds[1:])
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(switch_seconds)


@dataclass(kw_only=True)
class CsvImport:
    """Writes every record of a file as a new or updated row, by the table's key.

    source: seekable; stays open. checkpoint: what the last attempt gave to save, or {}.
    dialect, start: None: guess them.
    columns: field name -> index of its column; None: by the names in the header.
    save(checkpoint, result), reject(rejections): called in the chunk's transaction; raising rolls the chunk back.
    report(done, total, stage, **counts): in records; total is 0 while it is unknown.
    """

    source: IO[bytes]
    table: TargetTable
    checkpoint: dict[str, Any]
    save: Callable[[dict[str, Any], dict[str, Any]], None]
    reject: Callable[[list[Rejection]], None]
    report: Callable[..., None]
    dialect: Dialect | None = None
    start: TableStart | None = None
    columns: dict[str, int] | None = None
    max_rejected_share: float = 1
    chunk_lines: int = CHUNK_LINES
    result: dict[str, Any] = field(default_factory=dict, init=False)

    @tune_for_two_threads()
    def run(self) -> dict[str, Any]:
        """The result: "rows_before" of the "rows" were counted by earlier attempts.

        Raises CsvUnreadable or TooManyRejectedError, also after some rows.
        The last commits are on disk with the caller's next ordinary commit.
        """
        file_format = self._find_format()
        cells, first_line = read_header(self.source, file_format, file_format.start)
        header = match_header(cells, self.table, self.columns)
        counted = self.checkpoint.get("result", {})
        self.result = _empty_result(header, file_format) | counted | {"rows_before": counted.get("rows", 0)}
        self._report_rows(file_format.records)
        writer = TableWriter(self.table, list(header.positions))
        validator = RowValidator(header, self.table, file_format)
        made = self._make_chunks(file_format, validator, writer, self.checkpoint.get("next_line", first_line))
        try:
            with closing(read_ahead(made)) as chunks:
                for chunk in chunks:
                    self._check_rejected_share()
                    self._write(chunk, writer, file_format)
                    self._report_rows(file_format.records)
        except CsvUnreadable as error:
            raise error.after_rows(self.result["rows"]) from error
        self._report_rows(self.result["rows"])
        return self.result

    def _find_format(self) -> FileFormat:
        tick = partial(self.report, 0, 0, STAGE_READING)
        tick()
        if self.checkpoint:
            return FileFormat(**self.checkpoint["shape"], start=TableStart(**self.checkpoint.get("start", {})))
        found = inspect_file(self.source, tick, self.dialect, self.start, make_name_counter(self.table, {}))
        # Without chosen columns, the names are needed: what is missing is said about the line on top.
        return replace(found, start=TableStart(found.start.line)) if self.columns is None else found

    def _make_chunks(
        self, file_format: FileFormat, validator: RowValidator, writer: TableWriter, first_line: int
    ) -> Generator[RowChunk, None, None]:
        page_lines = min(PAGE_LINES, self.chunk_lines)
        maker = ChunkMaker(validator, writer.default_columns, self.chunk_lines // page_lines)
        with closing(read_pages(self.source, file_format, first_line=first_line, page_lines=page_lines)) as pages:
            yield from maker.make_chunks(pages)

    def _check_rejected_share(self) -> None:
        rejected, rows = self.result["rejected"], self.result["rows"]
        if rejected > rows * self.max_rejected_share and rows >= MIN_ROWS_FOR_SHARE:
            raise TooManyRejectedError(rejected, rows)

    def _write(self, chunk: RowChunk, writer: TableWriter, file_format: FileFormat) -> None:
        """A running job's checkpoint survives a release, so its keys stay."""
        with transaction.atomic():
            written = writer.write(chunk)
            result = _add_counts(self.result, chunk, written)
            self.reject(sorted([*chunk.rejections, *written.rejections]))
            counts = {name: result[name] for name in ("rows", *COUNTS)}
            shape = asdict(file_format)
            start = shape.pop("start")
            self.save({"shape": shape, "start": start, "next_line": chunk.next_line, "result": counts}, result)
        self.result = result

    def _report_rows(self, expected: int) -> None:
        rows = self.result["rows"]
        stage = f"writing {self.table.model._meta.verbose_name_plural}"
        self.report(rows, max(expected, rows), stage, **{name: self.result[name] for name in COUNTS})


def _empty_result(header: Header, file_format: FileFormat) -> dict[str, Any]:
    return {
        **dict.fromkeys(("rows", *COUNTS), 0),
        "header": header.names,
        "ignored_columns": header.ignored,
        "encoding": file_format.encoding.removesuffix("-sig"),
        "delimiter": file_format.delimiter,
        "decimal": file_format.decimal,
        "dates": file_format.dates,
    }


def _add_counts(result: dict[str, Any], chunk: RowChunk, written: WriteResult) -> dict[str, Any]:
    rejected = len(chunk.rejections) + len(written.rejections)
    counts = {
        "created": written.created,
        "updated": written.updated,
        "unchanged": chunk.records - rejected - written.created - written.updated,
        "rejected": rejected,
        "rows": chunk.records,
    }
    return result | {name: result[name] + count for name, count in counts.items()}
