"""What every parser of a column's cells says when one of them is no value."""

SHOWN = 40  # characters of a cell or a name in a sentence


class CellError(Exception):
    """A cell of this column is no value for its field. The text completes "price: ..."."""


def shown(cell: str) -> str:
    """The cell, or the name of a column, in a sentence."""
    return f'"{cell[:SHOWN]}"'
