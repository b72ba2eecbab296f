"""The error of a cell, and how its sentence shows the cell."""

MAX_SHOWN_CHARACTERS = 40


class CellError(Exception):
    """A cell is no value for its field. The message completes "price: ..."."""


def quote_short(text: str) -> str:
    return f'"{text[:MAX_SHOWN_CHARACTERS]}"'
