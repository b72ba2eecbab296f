"""Matches the columns of a file with the fields of a model."""

import re
from dataclasses import dataclass

from django.db.models import Field

from workers.csvimport.cells.errors import quote_short
from workers.csvimport.cells.formulas import unescape_formula
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.table_start import MAX_TOP_RECORDS
from workers.csvimport.target_table import TargetTable

# The last two columns of a file of rejected rows. No table of somebody else has columns of these names.
REJECTION_COLUMNS = ["line in your file", "reason for the rejection"]
MAX_LISTED_NAMES = 20  # in a sentence


@dataclass(frozen=True)
class Header:
    """has_rejections: this is a corrected file of rejected rows, whose cells went through `escape_formula`."""

    names: list[str]
    positions: dict[Field, int]
    ignored: list[str]
    has_rejections: bool

    @property
    def width(self) -> int:
        return len(self.names) + len(REJECTION_COLUMNS) * self.has_rejections

    def original_cells(self, cells: list[str]) -> list[str]:
        """Without what an earlier file of rejected rows added."""
        if not self.has_rejections:
            return cells
        width = len(self.names)
        return list(map(unescape_formula, cells[:width] + cells[width + len(REJECTION_COLUMNS) :]))


def match_header(cells: list[str], table: TargetTable, columns: dict[str, int] | None = None) -> Header:
    """Raises CsvUnreadable if a required column is missing, or if two columns have the name of one field.

    columns: field name -> index of its column; None: match by the names.
    """
    names, has_rejections = parse_names(cells)
    positions = match_names(names, table) if columns is None else select_columns(columns, len(names), table)
    if missing := [field.name for field in table.importable if table.requires(field) and field not in positions]:
        raise CsvUnreadable(
            f"One of the first {MAX_TOP_RECORDS} lines must name the columns. Missing: {_list_names(missing)}."
            f" Found: {_list_names(names)}. Add what is missing and upload the file again."
        )
    ignored = [name for index, name in enumerate(names) if name and index not in positions.values()]
    return Header(names, positions, ignored, has_rejections)


def parse_names(cells: list[str]) -> tuple[list[str], bool]:
    """The names without REJECTION_COLUMNS, and whether the header ended with those."""
    names = [cell.strip().replace("\0", "") for cell in cells]
    has_rejections = [name.lower() for name in names[-2:]] == REJECTION_COLUMNS
    return (list(map(unescape_formula, names[:-2])), True) if has_rejections else (names, False)


def make_unique_labels(names: list[str]) -> list[str]:
    labels: dict[str, None] = {}
    for number, name in enumerate(names, 1):
        label = name or f"column {number}"
        while label in labels:
            label += f" ({number})"
        labels[label] = None
    return list(labels)


def match_names(names: list[str], table: TargetTable) -> dict[Field, int]:
    """Raises CsvUnreadable if two columns have the name of one field."""
    fields = {_normalize(str(field.verbose_name)): field for field in table.importable}
    fields |= {_normalize(field.name): field for field in table.importable}
    positions: dict[Field, int] = {}
    for index, name in enumerate(names):
        field = fields.get(_normalize(name))
        if field in positions:
            raise CsvUnreadable(
                f"Two columns are for {field.verbose_name}: {quote_short(names[positions[field]])} and "
                f"{quote_short(name)}. Take one of them out and upload the file again."
            )
        if field:
            positions[field] = index
    return positions


def select_columns(columns: dict[str, int], width: int, table: TargetTable) -> dict[Field, int]:
    """Ignores unknown fields, and columns that the file does not have."""
    return {field: columns[field.name] for field in table.importable if columns.get(field.name, width) < width}


def _normalize(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _list_names(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED_NAMES} more" if len(names) > MAX_LISTED_NAMES else ""
    return ", ".join(map(quote_short, names[:MAX_LISTED_NAMES])) + more
