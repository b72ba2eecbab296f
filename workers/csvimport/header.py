"""Which column of a CSV file belongs to which field of the model, by the names in the header.

Names match without regard to case, spaces, underscores and hyphens, by a field's name or verbose name. What no field
is named after is left out and listed.
"""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import NOT_PROVIDED, Field, Model

from workers.csvimport.cells.errors import shown
from workers.csvimport.cells.fields import can_be_imported, must_be_given
from workers.csvimport.cells.formulas import unescape_formula
from workers.csvimport.reading.records import CsvUnreadable

REPORT = ["line", "reason"]  # the last two columns of a file of rejected rows
MANY = 20  # names in a sentence


@dataclass(frozen=True)
class Table:
    """Where the rows go. fixed: values by column name that no file may set, such as {"owner_id": 5}.

    Raises LookupError for a model whose rows no file can make: it names the fields that a file cannot set.
    """

    model: type[Model]
    fixed: dict[str, Any]

    def __post_init__(self) -> None:
        blank = self.model(**self.fixed)
        lacking = [
            f"{field.name} ({type(field).__name__})"
            for field in self.model._meta.concrete_fields
            if field.attname not in self.fixed and not can_be_imported(field) and must_be_given(field, blank)
        ]
        if lacking:
            needs = f"{self.model._meta.label} cannot be imported: its rows need {', '.join(lacking)}"
            raise LookupError(f"{needs}, which no file can set. Give them as fixed values, or a default.")

    @property
    def key(self) -> list[Field]:
        """The fields that tell one row from another: those of the first unique constraint that every row takes part in.

        Raises LookupError where none of the model's is without NULL and can be filled by a file.
        """
        meta = self.model._meta
        unique = [constraint.fields for constraint in meta.total_unique_constraints if not constraint.deferrable]
        for names in [*unique, *([field.name] for field in meta.concrete_fields if field.unique)]:
            fields = [field for field in meta.concrete_fields if field.name in names]
            if all(not field.null and (field in self.importable or field.attname in self.fixed) for field in fields):
                return fields
        raise LookupError(f"{meta.label} has no unique constraint by which a file could update its rows.")

    @property
    def importable(self) -> list[Field]:
        """The fields that a file may set."""
        return [
            field
            for field in self.model._meta.concrete_fields
            if can_be_imported(field) and field.attname not in self.fixed
        ]

    def requires(self, field: Field) -> bool:
        """Whether a row without this field cannot be written."""
        has_default = field.has_default() or field.db_default is not NOT_PROVIDED
        return field in self.key or not (field.blank or field.null or has_default)


@dataclass(frozen=True)
class Header:
    """names: the header's cells; places: field -> index of its column; ignored: the names that no field has.

    has_report: this is a file of rejected rows, mended, and so its cells have been through `escape_formula`.
    """

    names: list[str]
    places: dict[Field, int]
    ignored: list[str]
    has_report: bool

    @property
    def width(self) -> int:
        """How many cells a row has."""
        return len(self.names) + len(REPORT) * self.has_report

    def own_cells(self, cells: list[str]) -> list[str]:
        """The cells without what an earlier report of rejected rows put into them and into the last two columns."""
        if not self.has_report:
            return cells
        width = len(self.names)
        return list(map(unescape_formula, cells[:width] + cells[width + len(REPORT) :]))


def match_header(cells: list[str], table: Table, columns: dict[str, int] | None = None) -> Header:
    """The header, or CsvUnreadable when a column that every row needs is not there, or is there twice.

    columns: field name -> index of its column, where somebody has said so; None: by the names.
    """
    names, has_report = names_in(cells)
    places = match_names(names, table) if columns is None else _confirmed(columns, names, table)
    if missing := [field.name for field in table.importable if table.requires(field) and field not in places]:
        raise CsvUnreadable(
            f"The first line must name the columns. Missing: {_listed(missing)}. Found: {_listed(names)}. "
            "Add what is missing and upload the file again."
        )
    ignored = [name for place, name in enumerate(names) if name and place not in places.values()]
    return Header(names, places, ignored, has_report)


def names_in(cells: list[str]) -> tuple[list[str], bool]:
    """The names of the columns, and whether a report of rejected rows stood behind them."""
    names = [cell.strip().replace("\0", "") for cell in cells]
    has_report = [name.lower() for name in names[-2:]] == REPORT
    return (list(map(unescape_formula, names[:-2])), True) if has_report else (names, False)


def labels_of(names: list[str]) -> list[str]:
    """The names, each made the only one of its kind: "Price", "Price (2)", "column 3" for one without a name."""
    labels, taken = list[str](), set[str]()
    for place, name in enumerate(names, 1):
        label = name or f"column {place}"
        while label in taken:
            label += f" ({place})"
        taken.add(label)
        labels.append(label)
    return labels


def match_names(names: list[str], table: Table) -> dict[Field, int]:
    """Field -> index of the column that is named after it. Raises CsvUnreadable when there are two."""
    fields = {plain(str(field.verbose_name)): field for field in table.importable}
    fields |= {plain(field.name): field for field in table.importable}
    places: dict[Field, int] = {}
    for place, name in enumerate(names):
        field = fields.get(plain(name))
        if field in places:
            raise CsvUnreadable(
                f"Two columns are for {field.verbose_name}: {shown(names[places[field]])} and {shown(name)}. "
                "Take one of them out and upload the file again."
            )
        if field:
            places[field] = place
    return places


def plain(name: str) -> str:
    """A name as it is compared."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def _confirmed(columns: dict[str, int], names: list[str], table: Table) -> dict[Field, int]:
    return {
        field: columns[field.name] for field in table.importable if columns.get(field.name, len(names)) < len(names)
    }


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(map(shown, names[:MANY])) + more
