"""What a parser of cells raises, and how its sentence shows a cell."""

MAX_SHOWN_CHARACTERS = 40


class CellError(Exception):
    """A cell is no value for its field. The message completes "price: ..."."""


def quote_short(text: str) -> str:
    """A cell or a column's name, in quotes and not too long."""
    return f'"{text[:MAX_SHOWN_CHARACTERS]}"'
