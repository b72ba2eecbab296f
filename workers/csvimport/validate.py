"""Checks records against the model."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import compress
from typing import Any, NamedTuple

from workers.csvimport.cells.columns import ColumnCleaner
from workers.csvimport.cells.errors import MAX_SHOWN_CHARACTERS
from workers.csvimport.header import Header
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.errors import QUOTES_MISMATCHED
from workers.csvimport.reading.records import RecordPage
from workers.csvimport.rejected_rows import Rejection
from workers.csvimport.target_table import TargetTable


class ValidRecords(NamedTuple):
    lines: list[int]
    cells: list[list[str]]
    columns: list[list[Any]]


class RowValidator:
    def __init__(self, header: Header, table: TargetTable, dialect: Dialect) -> None:
        self.header = header
        self.columns = [
            (
                header.names[index][:MAX_SHOWN_CHARACTERS],
                index,
                ColumnCleaner(field, dialect, is_required=table.requires(field), is_escaped=header.has_rejections),
            )
            for field, index in header.positions.items()
        ]
        self.key = [index for index, field in enumerate(header.positions) if field in table.key]

    def validate_page(self, page: RecordPage) -> tuple[ValidRecords, list[Rejection]]:
        """The rejections are sorted by line."""
        lines, rows = page.lines, page.rows
        rejections = [self._reject(line, QUOTES_MISMATCHED, cells) for line, cells in page.broken]
        width = self.header.width
        has_width = [len(row) == width for row in rows]
        if not all(has_width):
            rows = [_without_empty_end(row, width) for row in rows]
            has_width = [len(row) == width for row in rows]
            rejections += [
                self._reject(line, f"has {len(row)} cells, and the header has {width}", row)
                for line, row, fits in zip(lines, rows, has_width, strict=True)
                if not fits
            ]
            lines, rows = list(compress(lines, has_width)), list(compress(rows, has_width))
        columns, reasons = self._clean(rows)
        if reasons:
            rejections += [self._reject(lines[index], reason, rows[index]) for index, reason in reasons.items()]
            is_good = [index not in reasons for index in range(len(rows))]
            lines, rows = list(compress(lines, is_good)), list(compress(rows, is_good))
            columns = [list(compress(column, is_good)) for column in columns]
        return ValidRecords(lines, rows, columns), sorted(rejections)

    def keys_of(self, records: ValidRecords) -> Iterable[Any]:
        """A key of several fields is a tuple."""
        first, *others = (records.columns[index] for index in self.key)
        return zip(first, *others, strict=True) if others else first

    def _clean(self, rows: list[list[str]]) -> tuple[list[list[Any]], dict[int, str]]:
        cells = list(zip(*rows, strict=True)) or [()] * self.header.width
        columns = []
        reasons = defaultdict[int, list[str]](list)
        for name, index, cleaner in self.columns:
            values, errors = cleaner.clean(cells[index])
            columns.append(values)
            for row_index, error in errors.items():
                reasons[row_index].append(f"{name}: {error}")
        return columns, {row_index: "; ".join(messages) for row_index, messages in reasons.items()}

    def _reject(self, line: int, reason: str, cells: list[str]) -> Rejection:
        return Rejection(line, reason, self.header.original_cells(cells))


def _without_empty_end(row: list[str], width: int) -> list[str]:
    """Some programs end rows with a delimiter, and the header without one."""
    return row if "".join(row[width:]).strip() else row[:width]
