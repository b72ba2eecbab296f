"""The error of a cell."""

MAX_SHOWN_CHARACTERS = 40


class CellError(Exception):
    """The message completes "price: ..."."""


def quote_short(text: str) -> str:
    return f'"{text[:MAX_SHOWN_CHARACTERS]}"'
